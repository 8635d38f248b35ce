import { useState } from "react";
export function Form({ onSave }) {
  const [v, setV] = useState({ name: "", agree: false, size: "m" });
  return <form onSubmit={(e) => { e.preventDefault(); onSave(new FormData(e.target).get("name"), v); }}>
    <input name="name" aria-label="name" value={v.name} onChange={(e) => setV({ ...v, name: e.target.value })} required />
    <fieldset><label><input type="radio" name="size" value="s" checked={v.size === "s"} onChange={() => setV({ ...v, size: "s" })} />S</label><label><input type="radio" name="size" value="m" checked={v.size === "m"} onChange={() => setV({ ...v, size: "m" })} />M</label></fieldset>
    <input type="range" aria-label="r" min="0" max="10" defaultValue="3" />
    <details open><summary>more</summary>body</details>
    <a href="#top" onClick={(e) => e.preventDefault()}>top</a>
    <button>Save</button></form>;
}
