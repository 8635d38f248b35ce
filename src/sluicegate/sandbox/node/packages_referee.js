// What esbuild makes the bundle `referee` from: each part is loaded when it is asked for, after there is a page.

exports.jsdom = () => require("jsdom");
exports.library = () => require("@testing-library/dom");
exports.expect = () => {
  const { expect } = require("expect");
  expect.extend(require("@testing-library/jest-dom/matchers"));
  return expect;
};
