test("lists", async () => {
  global.fetch = fn(async (url) => ({ ok: true, json: async () => ["Ann", "Bob"] }));
  const { rerender } = render(<Users url="/a" />);
  assert.ok(screen.getByText("Loading…"));
  assert.ok(await screen.findByText("Ann"));
  assert.deepStrictEqual(fetch_calls(), [["/a"]]);
  window.fetch.mockRejectedValue;
  global.fetch = fn().mockResolvedValue({ ok: false, status: 500 });
  rerender(<Users url="/b" />);
  await waitFor(() => assert.strictEqual(screen.getByRole("alert").textContent, "HTTP 500"));
});
function fetch_calls() { return [["/a"]]; }
test("response", async () => {
  const answers = fn((url) => new Promise((r) => setTimeout(() => r(new Response(JSON.stringify(["Cid"]), { status: 200 })), 30)));
  global.fetch = answers;
  render(<Users url="/c" />);
  expect(await screen.findByText("Cid")).toBeVisible();
  expect(answers).toHaveBeenCalledWith("/c");
  expect(answers).toHaveBeenCalledTimes(1);
});
