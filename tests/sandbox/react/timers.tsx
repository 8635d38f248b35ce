import { useEffect, useState, useRef } from "react";
export function Clock({ every = 1000, onDone }) {
  const [n, setN] = useState(3);
  useEffect(() => { if (n === 0) { onDone(); return; } const t = setTimeout(() => setN(n - 1), every); return () => clearTimeout(t); }, [n]);
  return <output>{n}</output>;
}
export function Slow() { const [t, setT] = useState("wait"); useEffect(() => { const i = window.setInterval(() => setT("done"), 20); return () => clearInterval(i); }, []); return <p>{t}</p>; }
export function useDebounced(value, ms) { const [v, set] = useState(value); useEffect(() => { const t = setTimeout(() => set(value), ms); return () => clearTimeout(t); }, [value, ms]); return v; }
