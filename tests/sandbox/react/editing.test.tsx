render(<Keys />);
fireEvent.keyDown(document.body, { key: "a" });
fireEvent.keyDown(screen.getByTestId("edited"), { key: "b" });
fireEvent.keyDown(screen.getByText("text"), { key: "c" });
fireEvent.keyDown(screen.getByTestId("kept"), { key: "d" });
assert.strictEqual(screen.getByRole("status").textContent, "ad");
