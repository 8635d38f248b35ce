// Lints one program a line: JSON {language, text} in, JSON [rule, ...] out. Started by eslint.py, with the
// folder whose node_modules has the packages of package.json as its argument.
"use strict";

const { createRequire } = require("node:module");
const { join } = require("node:path");
const { createInterface } = require("node:readline");

const from = createRequire(join(process.argv[2], "package.json"));
const { Linter } = from("eslint");
const typescript = from("typescript-eslint");

const FILES = { javascript: "answer.jsx", typescript: "answer.ts", tsx: "answer.tsx" };
const RULES = [
  "arrow-body-style", "default-case-last", "dot-notation", "eqeqeq", "no-array-constructor", "no-case-declarations",
  "no-debugger", "no-else-return", "no-empty", "no-empty-pattern", "no-extra-bind", "no-extra-boolean-cast",
  "no-extra-label", "no-lone-blocks", "no-lonely-if", "no-loop-func", "no-multi-assign", "no-multi-str",
  "no-nested-ternary", "no-new-wrappers", "no-object-constructor", "no-regex-spaces", "no-return-assign",
  "no-self-compare", "no-sequences", "no-shadow-restricted-names", "no-sparse-arrays", "no-undef-init",
  "no-unneeded-ternary", "no-unused-expressions", "no-useless-catch", "no-useless-computed-key", "no-useless-concat",
  "no-useless-constructor", "no-useless-escape", "no-useless-rename", "no-useless-return", "no-var", "object-shorthand",
  "one-var", "operator-assignment", "prefer-arrow-callback", "prefer-const", "prefer-exponentiation-operator",
  "prefer-object-spread", "prefer-rest-params", "prefer-spread", "prefer-template", "radix", "yoda",
];
const config = {
  files: ["**/*.jsx", "**/*.ts", "**/*.tsx"],
  languageOptions: { parser: typescript.parser, parserOptions: { ecmaFeatures: { jsx: true } } },
  linterOptions: { noInlineConfig: true, reportUnusedDisableDirectives: "off" },
  rules: {
    ...Object.fromEntries(RULES.map((rule) => [rule, "error"])),
    eqeqeq: ["error", "always", { null: "ignore" }],
    "one-var": ["error", "never"],
    "no-unused-expressions": ["error", { allowShortCircuit: true, allowTernary: true }],
    complexity: ["error", 20],
    "max-depth": ["error", 4],
    "max-params": ["error", 5],
    "max-len": ["error", { code: 120, ignoreStrings: true, ignoreTemplateLiterals: true, ignoreRegExpLiterals: true }],
  },
};
const linter = new Linter({ configType: "flat" });

createInterface({ input: process.stdin }).on("line", (line) => {
  const { language, text } = JSON.parse(line);
  const found = linter.verify(text, [config], { filename: FILES[language] }).filter((one) => one.ruleId || one.fatal);
  process.stdout.write(`${JSON.stringify(found.map((one) => one.ruleId ?? "syntax"))}\n`);
});
process.stdout.write("[]\n");
