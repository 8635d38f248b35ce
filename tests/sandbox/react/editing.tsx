import { useEffect, useState } from "react";
export function Keys() {
  const [seen, setSeen] = useState("");
  useEffect(() => {
    const hear = (event) => { if (!event.target.isContentEditable) setSeen((before) => before + event.key); };
    window.addEventListener("keydown", hear);
    return () => window.removeEventListener("keydown", hear);
  }, []);
  return <div><output>{seen}</output><div data-testid="edited" contentEditable suppressContentEditableWarning><b>text</b></div>
    <div data-testid="kept" contentEditable="false">fixed</div></div>;
}
