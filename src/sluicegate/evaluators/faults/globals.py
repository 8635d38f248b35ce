"""Names that JavaScript has without a declaration: the language's, browsers', Node's and CommonJS's."""

from __future__ import annotations

from typing import Final

LANGUAGE: Final = (
    "AggregateError Array ArrayBuffer AsyncIterator Atomics BigInt BigInt64Array BigUint64Array Boolean DataView Date "
    "Error EvalError FinalizationRegistry Float32Array Float64Array Function Infinity Int16Array Int32Array Int8Array "
    "Intl Iterator JSON Map Math NaN Number Object Promise Proxy RangeError ReferenceError Reflect RegExp Set "
    "SharedArrayBuffer String Symbol SyntaxError TypeError URIError Uint16Array Uint32Array Uint8Array "
    "Uint8ClampedArray WeakMap WeakRef WeakSet arguments decodeURI decodeURIComponent encodeURI encodeURIComponent "
    "escape eval globalThis isFinite isNaN parseFloat parseInt undefined unescape"
)
BROWSERS: Final = (
    "AbortController AbortSignal Audio AudioContext Blob BroadcastChannel CSS CanvasRenderingContext2D ClipboardItem "
    "CompositionEvent CompressionStream CustomEvent DOMException DOMParser DOMRect DataTransfer Document "
    "DocumentFragment DragEvent Element Event EventSource EventTarget File FileList FileReader FocusEvent FormData "
    "HTMLAnchorElement HTMLButtonElement HTMLCanvasElement HTMLDivElement HTMLElement HTMLFormElement "
    "HTMLImageElement HTMLInputElement HTMLSelectElement HTMLTextAreaElement Headers Image ImageData InputEvent "
    "IntersectionObserver KeyboardEvent Location MediaQueryList MediaRecorder MessageChannel MessageEvent MouseEvent "
    "MutationObserver Node NodeFilter NodeList Notification Option OffscreenCanvas PerformanceObserver PointerEvent "
    "PopStateEvent ProgressEvent Range ReadableStream Request ResizeObserver Response SVGElement Selection "
    "ServiceWorker SharedWorker Storage StorageEvent SubmitEvent Text TextDecoder TextEncoder TouchEvent "
    "TransformStream UIEvent URL URLSearchParams WebSocket WheelEvent Window Worker WritableStream XMLHttpRequest "
    "XMLSerializer addEventListener alert atob blur btoa caches cancelAnimationFrame cancelIdleCallback clearInterval "
    "clearTimeout close confirm console crypto customElements devicePixelRatio dispatchEvent document fetch focus "
    "frames getComputedStyle getSelection history indexedDB innerHeight innerWidth localStorage location matchMedia "
    "name navigator open origin parent performance postMessage print prompt queueMicrotask removeEventListener "
    "requestAnimationFrame requestIdleCallback screen scroll scrollBy scrollTo self sessionStorage setInterval "
    "setTimeout structuredClone top visualViewport window"
)
NODE: Final = "Buffer __dirname __filename clearImmediate exports global module process require setImmediate"
ALL: Final = frozenset(f"{LANGUAGE} {BROWSERS} {NODE}".split())
