"""A model folder of a few thousand parameters, samples, and a scripted endpoint on the loopback."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from sluicegate import jsonl
from sluicegate.records import Sample

WORDS = ["add", "subtract", "reverse", "sort", "count", "upper", "filter", "merge", "split", "join"]
Reply = tuple[int, dict[str, str], bytes]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Ten samples with prompts of different lengths."""
    path = tmp_path / "test.jsonl"
    jsonl.write(path, samples())
    return path


def samples() -> list[Sample]:
    return [
        Sample(id=word, prompt=f"Write {word}.\n" + f"It is {word}ing. " * (number % 4), completion="x = 1")
        for number, word in enumerate(WORDS)
    ]


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An ordinary causal model folder: random Llama, byte-level BPE, two end-of-sequence tokens."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=300,
        special_tokens=["<pad>", "</s>", "<eot>"],
        initial_alphabet=alphabet,
        show_progress=False,
    )
    bpe.train_from_iterator([sample.prompt for sample in samples()], trainer)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=bpe, pad_token="<pad>", eos_token="</s>")
    config = LlamaConfig(
        vocab_size=300, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=128, initializer_range=0.3, eos_token_id=[1, 2],
        pad_token_id=0, bos_token_id=None,
    )  # fmt: skip
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = LlamaForCausalLM(config)
    path = tmp_path_factory.mktemp("models") / "little"
    model.save_pretrained(path)
    tokenizer.save_pretrained(path)
    return path


class _Server(ThreadingHTTPServer):
    def handle_error(self, *_: Any) -> None:
        """A client that hangs up is part of the tests."""


class Endpoint:
    """An HTTP server that answers with what a script says.

    Attributes:
        asked: the payloads, in the order they came.
        headers: the headers of each.
    """

    def __init__(self, script: Callable[[int, dict[str, Any]], Reply]) -> None:
        self.asked: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.paths: list[str] = []
        lock = threading.Lock()
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                payload = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                with lock:
                    number = len(endpoint.asked)
                    endpoint.asked.append(payload)
                    endpoint.headers.append(dict(self.headers.items()))
                    endpoint.paths.append(self.path)
                status, headers, body = script(number, payload)
                self.send_response(status)
                for name, value in {"Content-Length": str(len(body)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = _Server(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Endpoint]]:
    """Starts endpoints, and makes pauses between tries short."""
    from sluicegate.endpoint import Patience
    from sluicegate.generate import endpoint

    monkeypatch.setattr(endpoint, "PATIENCE", Patience(tries=3, first_wait_s=0.01, longest_wait_s=0.1, timeout_s=2.0))
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    started: list[Endpoint] = []

    def start(script: Callable[[int, dict[str, Any]], Reply] | Sequence[Reply]) -> Endpoint:
        def listed(number: int, payload: dict[str, Any]) -> Reply:
            assert not callable(script)
            return script[min(number, len(script) - 1)]

        started.append(Endpoint(script if callable(script) else listed))
        return started[-1]

    yield start
    for server in started:
        server.close()
