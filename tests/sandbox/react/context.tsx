import React, { createContext, useContext, forwardRef, useImperativeHandle, useRef, Component, Suspense, lazy, memo, StrictMode, Fragment } from "react";
import { createPortal } from "react-dom";
export const Theme = createContext("light");
export function Label() { return <b data-testid="theme">{useContext(Theme)}</b>; }
export const Field = forwardRef(function Field({ label }, ref) { const input = useRef(null); useImperativeHandle(ref, () => ({ focus: () => input.current.focus(), get value() { return input.current.value; } })); return <label>{label}<input ref={input} /></label>; });
export function Modal({ open, onClose, children }) { React.useEffect(() => { const f = (e) => e.key === "Escape" && onClose(); document.addEventListener("keydown", f); return () => document.removeEventListener("keydown", f); }, [onClose]); return open ? createPortal(<div role="dialog" aria-modal="true">{children}<button onClick={onClose}>Close</button></div>, document.body) : null; }
export class Boundary extends Component { state = { error: null }; static getDerivedStateFromError(error) { return { error }; } componentDidCatch(error) { this.props.onError?.(error.message); } render() { return this.state.error ? <p role="alert">{this.props.fallback(this.state.error)}</p> : this.props.children; } }
export const Fast = memo(function Fast({ n, onRender }) { onRender(n); return <i>{n}</i>; });
const Later = lazy(() => Promise.resolve({ default: () => <p>here</p> }));
export default function App() { return <StrictMode><Suspense fallback={<p>soon</p>}><Later /></Suspense></StrictMode>; }
