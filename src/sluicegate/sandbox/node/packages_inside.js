// What esbuild makes the bundle `inside` from: each part is loaded when it is asked for, after there is a page.

exports.jsdom = () => require("jsdom");
exports.timers = () => require("@sinonjs/fake-timers");
exports.library = () => ({ testing: require("@testing-library/react"), user: require("@testing-library/user-event").default });
exports.packages = {
  "prop-types": () => require("prop-types"),
  react: () => require("react"),
  "react/jsx-runtime": () => require("react/jsx-runtime"),
  "react/jsx-dev-runtime": () => require("react/jsx-dev-runtime"),
  "react-dom": () => require("react-dom"),
  "react-dom/client": () => require("react-dom/client"),
  "react-dom/server": () => require("react-dom/server"),
};
