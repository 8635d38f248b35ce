import { useState } from "react";
import PropTypes from "prop-types";
import "./Todo.css";
const TodoList = ({ items: initial }) => {
  const [items, setItems] = useState(initial);
  const [text, setText] = useState("");
  const add = (e) => { e.preventDefault(); if (!text.trim()) return; setItems([...items, { id: items.length + 1, text: text.trim(), done: false }]); setText(""); };
  return (
    <form onSubmit={add} aria-label="todos">
      <label htmlFor="t">New</label><input id="t" value={text} onChange={(e) => setText(e.target.value)} />
      <button type="submit">Add</button>
      <ul>{items.map((i) => <li key={i.id}><label><input type="checkbox" checked={i.done} onChange={() => setItems(items.map((x) => x === i ? { ...x, done: !x.done } : x))} />{i.text}</label></li>)}</ul>
      <select aria-label="filter" defaultValue="all"><option value="all">All</option><option value="open">Open</option></select>
    </form>
  );
};
TodoList.propTypes = { items: PropTypes.array };
TodoList.defaultProps = { items: [] };
export default TodoList;
