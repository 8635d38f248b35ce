import { useEffect, useState } from "react";
export function Users({ url }) {
  const [state, set] = useState({ status: "loading" });
  useEffect(() => { let gone = false; fetch(url).then((r) => { if (!r.ok) throw new Error("HTTP " + r.status); return r.json(); }).then((users) => !gone && set({ status: "ok", users }), (e) => !gone && set({ status: "bad", message: e.message })); return () => { gone = true; }; }, [url]);
  if (state.status === "loading") return <p>Loading…</p>;
  if (state.status === "bad") return <p role="alert">{state.message}</p>;
  return <ul>{state.users.map((u) => <li key={u}>{u}</li>)}</ul>;
}
