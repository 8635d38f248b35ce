import { useState, useCallback } from "react";
export function useCounter(initial = 0) {
  const [count, setCount] = useState(initial);
  const increment = useCallback(() => setCount((c) => c + 1), []);
  const addStale = () => setCount(count + 1);
  const load = async () => { await null; setCount(100); return "ok"; };
  return { count, increment, addStale, load };
}
