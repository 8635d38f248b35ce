import { useReducer, type FC, type ReactNode } from "react";
interface Props<T> { items: T[]; render: (item: T) => ReactNode; empty?: ReactNode }
export function List<T extends { id: number }>({ items, render, empty = null }: Props<T>) { return items.length ? <ul>{items.map((i) => <li key={i.id}>{render(i)}</li>)}</ul> : <>{empty}</>; }
type Action = { type: "add"; by: number } | { type: "reset" };
export const reducer = (s: number, a: Action): number => (a.type === "add" ? s + a.by : 0);
export const Total: FC<{ by: number }> = ({ by }) => { const [n, send] = useReducer(reducer, 0); return <button onClick={() => send({ type: "add", by })}>{n}</button>; };
