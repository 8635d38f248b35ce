"""What training, generating and judging take where nothing was measured: every constant, with its source.

`H200` below stands for docs/performance.json, one H200 with a Llama-3-8B of random weights, NF4, LoRA r 16, 2026-11-29
(torch 2.11, transformers 5.17); tests/benchmarks/test_performance.py holds the constants against it. `T5` is
docs/seq2seq-speed.json, one H200 with CodeT5-base's shape, of the same day (decoding: the day before). `rows` are runs
of an earlier loop, before packing, on one H200 with the same Llama: 26,039 tokens in 64 samples at 1 a batch 51.9 s, at
4 15.6 s, at 8 12.3 s; 23,107 tokens in 12 samples at 1 a batch 8.1 s, at 4 4.5 s; 38,522 tokens in 32.1 s at 1 × 8 and
in 10.2 s at 4 × 2 (torch 2.11, transformers 5.17, noted 2026-11-25). `demo` stands for stages 1 to 3 of the demo study
on 2 shared cores of an AMD EPYC, noted 2026-11-25, forked processes 2026-11-29. What names no source is assumed.
"""

from __future__ import annotations

from sluicegate.stages.forecast.span import Span

PACKED_SHARE = Span(0.4, 0.67, 0.85)
"""Of the reached TFLOP/s, in the passes of a packed and compiled training: H200 0.667 to 0.674 in four trainings
within 7 GiB to without a limit. LoRA's dropout was off: what it takes was not measured."""
NOT_COMPILED = Span(1.2, 1.47, 2.0)
"""Times as long where layers are not compiled: a hundred-line loop of the same shape had 5,854 tokens/s and 8,626
compiled (H200, 2026-11-22)."""
COMPILE_S = Span(8, 20, 90)
"""To compile the layers in each width of a pack: H200 20 to 37 s before the first step had ended, loading included;
T5 24.5 s in 4 steps. On a slow processor it takes longer, which was not measured."""
PAIR_SHARE = Span(0.3, 0.495, 0.75)
"""Of the reached TFLOP/s, in training an encoder-decoder, 6 FLOP a weight and token though a token goes through the
encoder or the decoder alone: T5 292,808 tokens/s of 222,882,048 weights."""
PAIR_LAYER_S, PAIR_LAYER_EAGER_S = Span(0.0007, 0.002, 0.0043), Span(0.004, 0.008, 0.016)
"""Launching one layer of one micro-batch, all passes. Eager 191 ms for 24 layers (T5, profiled, 2026-11-29). Compiled
at most 4.3 ms: a step of T5 took 103 ms, whatever of it was launching; smaller micro-batches were not measured."""
PASSES_FROZEN, PASSES_FULL = 3, 4
"""Of rows on a GPU: forward, again (checkpointing), activations backward; with every weight trained, weights backward
too. Each is 2 FLOP a weight and token."""
GPU_SHARE = Span(0.25, 0.47, 0.85)
"""Of the reached TFLOP/s, in training with PACKING=false: 0.47 fits `rows`; kernels of one sample are small."""
GPU_LAYER_S = Span(0.007, 0.013, 0.025)
"""There, kernel launches and Python for one layer of one micro-batch, all passes: 0.5 s for 32 layers fits the first of
`rows`, 0.3 s the last, 0.8 s their slowest."""
PADDING = Span(1.0, 1.3, 2.2)
"""Tokens computed over tokens, where a micro-batch of rows holds several samples."""
NF4_WEIGHT_BYTES = Span(0.6, 4.5, 5.0)
"""Memory moved to use one 4-bit weight once, in training: half a byte read, 16 bits written and read again."""
CORE_FLOPS = Span(12e9, 35e9, 90e9)
"""Of one core, fp32, in training and decoding: the demo had 60 to 64 GFLOP/s on two cores."""
USEFUL_CORES = 8
"""Small matrices gain nothing from more."""
CPU_LAYER_S = Span(0.004, 0.012, 0.06)
"""What a layer of a micro-batch takes beside arithmetic, all passes: fits the demo."""
NF4_ON_CPU = Span(2.0, 4.0, 10.0)
"""How much slower 4-bit weights are on a CPU: the demo's stage 1 took 0.7 ms a token, its stage 2 0.17 ms."""
CHECKPOINT_BYTES = 12
"""Of a trained weight in a checkpoint: itself and two moments, fp32."""
WRITE_BYTES_S, READ_BYTES_S = Span(0.2e9, 1e9, 3e9), Span(0.3e9, 1.2e9, 4e9)
"""Of a disk: from a slow SSD to a fast one."""
START_S = Span(1, 7, 25)
"""Interpreter, torch, transformers, tokenizer, of a step that trains or generates: demo 1.0 to 1.5 s where the process
was forked with its libraries loaded, else 6.3 to 13 s; the H200 runs 19 to 26 s with 16 GB of weights."""
LIGHT_START_S = Span(0.2, 0.5, 3)
"""Of a step without torch: demo 0.3 s."""
DATA_S, COMPARE_S = Span(0.3, 0.8, 10), Span(0.3, 0.8, 6)
"""Making the data of a stage, and one comparison; with them the demo's stages take what they took."""
LOOK_S = Span(0, 3, 60)
"""Of stage 0, which has no steps."""
MADE_S = Span(1, 6, 20)
"""Making a tiny base: demo 1.0 s in a forked process, else 5.0, 6.4 and 16.4 s."""
DECODE_LAYER_S = Span(0.00015, 0.0003, 0.001)
"""One layer, one token of all rows on a GPU, whose steps are graphs: with the two below it fits the H200 rows, 29.3 ms
a token of 256 rows (8,730 tokens/s), 45.8 ms where every step unpacks the weights (5,584), of which it has 38, and with
an earlier kernel about 25 ms within 11 GiB (1,544 tokens/s of some 40 rows). T5 took 0.2 to 0.4 ms a layer."""
DECODE_SHARE = Span(0.15, 0.33, 0.6)
"""Of the reached TFLOP/s, in what grows with the rows: products, keys and values, choosing a token."""
NF4_DECODED_BYTES = Span(4.5, 7, 12)
"""Memory moved to use one 4-bit weight once, where every step unpacks it; 4.5 by what is read and written."""
ROWS = {True: 256, False: 64}
"""Answers at once where a study leaves it open: of a causal model on a GPU, and of all else; as
`models.causal_decoding` and `generate.local` have it."""
READ_AT_ONCE, LOGIT_BYTES = 2048, 24
"""Prompt tokens that are read at once, and bytes of a logit while a token is chosen; as `models.causal_decoding` has
them, which cannot be imported here."""
CPU_DECODE_LAYER_S = Span(0.0008, 0.0023, 0.007)
"""The demo took 12 ms a token of 64 answers, 4.6 ms of them arithmetic."""
PROGRAM_S = Span(0.003, 0.02, 0.4)
"""One answer judged by one core: demo 5 ms, 55 ms with an interpreter each, seconds where programs hang."""
VRAM = Span(0.93, 1.0, 1.15)
"""Peak of GPU memory over `models.memory`'s forecast of what a training must take: 0.96 to 1.03 in three H100 and two
H200 runs."""
FILLED_RATIO = 1.06
"""By how much the peak of a training that fills the GPU may be off what it fills."""
TOKENIZER_BYTES, TINY_TOKENIZER_BYTES = Span(2e6, 12e6, 20e6), Span(2e4, 4e4, 1e5)
"""In a model's folder; the second of a base made on the spot."""
MADE_BYTES = Span(3.4, 4, 5)
"""A weight of a base made on the spot, fp32; how many it has depends on the vocabulary that the texts make."""
CHECKPOINTS = Span(1, 1.5, 2)
"""Kept of a finished training: the last, and the best where that is another."""
ANSWER_BYTES, SCORE_BYTES = Span(4, 5, 8), Span(180, 280, 600)
"""A token of an answer in predictions, and a row of scores with what it was scored from: demo 3.2 to 8 and 290."""
REPORT_BYTES = Span(5e4, 3e5, 4e6)
"""Report, verdict and comparisons of a stage."""
EVENT_BYTES = Span(100, 250, 800)
"""A step in the events of a training and in its log: demo 250."""
SPEED_RATIO, START_RATIO, ANSWER_RATIO, PROGRAM_RATIO, MEMORY_RATIO, DISK_RATIO = 1.3, 1.6, 1.3, 2.0, 1.1, 1.8
"""By how much what an earlier stage measured may be off at a later one, either way. Bytes of a model's folder double
where the best checkpoint is not the last."""
