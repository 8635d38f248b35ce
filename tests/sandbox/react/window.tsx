import { useState, useEffect } from "react";
export function Draft({ onPick, onFiles }) {
  const [text, setText] = useState(() => localStorage.getItem("draft") ?? "");
  useEffect(() => { localStorage.setItem("draft", text); document.title = text || "empty"; }, [text]);
  const [w, setW] = useState(window.innerWidth);
  useEffect(() => { const f = () => setW(window.innerWidth); window.addEventListener("resize", f); return () => window.removeEventListener("resize", f); }, []);
  return <div><textarea aria-label="draft" value={text} onChange={(e) => setText(e.target.value)} /><span>{w}</span>
   <ul role="listbox">{["a","b"].map((x) => <li role="option" key={x} onClick={(e) => onPick(x, e)} onMouseEnter={() => onPick("over " + x)}>{x}</li>)}</ul>
   <input type="file" aria-label="f" onChange={(e) => onFiles(e.target.files[0].name, e.target.files.length)} /><button onClick={() => navigator.clipboard.writeText(text)}>copy</button></div>;
}
