const { container } = render(<List items={[{ id: 1 }, { id: 2 }]} render={(i: { id: number }) => <b>{i.id * 2}</b>} />);
assert.strictEqual(container.innerHTML, "<ul><li><b>2</b></li><li><b>4</b></li></ul>");
render(<List items={[]} render={() => null} empty={<p>none</p>} />);
assert.ok(screen.getByText("none"));
assert.strictEqual(reducer(2, { type: "add", by: 3 }), 5);
render(<Total by={2} />);
const b = screen.getByRole("button"); fireEvent.click(b); fireEvent.click(b);
expect(b).toHaveTextContent("4");
