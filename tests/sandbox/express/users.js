const express = require("express");
function createApp({ users, audit }) {
  const app = express();
  app.use(express.json()); app.use(express.urlencoded({ extended: false }));
  app.get("/users/:id", async (req, res, next) => { try { const u = await users.find(req.params.id); if (!u) return res.status(404).json({ error: "no" }); res.set("X-Kind", "user").json(u); } catch (e) { next(e); } });
  app.post("/login", (req, res) => { res.cookie("sid", req.body.name, { httpOnly: true }); audit(req.body.name); res.status(204).end(); });
  app.post("/logout", (req, res) => { res.clearCookie("sid"); res.redirect("/"); });
  app.get("/me", (req, res) => { const m = /sid=(\w+)/.exec(req.headers.cookie || ""); if (!m) return res.sendStatus(401); res.type("text").send("hi " + m[1]); });
  app.get("/private", (req, res) => res.json({ auth: req.get("authorization") ?? null, q: req.query, accept: req.get("accept") ?? null }));
  app.use((err, req, res, next) => res.status(err.status || 500).json({ error: err.message }));
  return app;
}
module.exports = createApp;
module.exports.createApp = createApp;
