test("fake", () => {
  vi.useFakeTimers();
  const done = fn();
  render(<Clock onDone={done} />);
  vi.advanceTimersByTime(1000);
  assert.strictEqual(screen.getByRole("status").textContent, "2");
  jest.advanceTimersByTime(999); assert.strictEqual(screen.getByRole("status").textContent, "2");
  act(() => jest.advanceTimersByTime(1)); assert.strictEqual(screen.getByRole("status").textContent, "1");
  jest.runAllTimers();
  assert.strictEqual(done.calls.length, 1);
  vi.useRealTimers();
});
test("real", async () => {
  render(<Slow />);
  assert.ok(screen.getByText("wait"));
  await waitFor(() => screen.getByText("done"));
});
test("sleep", async () => {
  render(<Slow />);
  await new Promise((r) => setTimeout(r, 200));
  assert.ok(screen.getByText("done"));
});
test("hook", () => {
  jest.useFakeTimers();
  const { result, rerender } = renderHook(({ v }) => useDebounced(v, 100), { initialProps: { v: "a" } });
  assert.strictEqual(result.current, "a");
  rerender({ v: "b" });
  assert.strictEqual(result.current, "a");
  act(() => { jest.advanceTimersByTime(100); });
  assert.strictEqual(result.current, "b");
  jest.useRealTimers();
});
