const supertest = require("supertest");
const create = require("./app");
const audit = fn();
const app = createApp({ users: { find: async (id) => { if (id === "9") throw new Error("db"); return id === "1" ? { id: 1, name: "Ann" } : null; } }, audit });
test("users", async () => {
  const res = await request(app).get("/users/1").set("Accept", "application/json").expect(200).expect("Content-Type", /json/).expect("x-kind", "user").expect({ id: 1, name: "Ann" }).expect((r) => { if (r.body.id !== 1) throw new Error("x"); });
  assert.strictEqual(res.type, "application/json"); assert.strictEqual(res.get("X-Kind"), "user"); assert.strictEqual(res.headers["x-kind"], "user");
  await supertest(app).get("/users/2").expect(404, { error: "no" });
  await request(app).get("/users/9").expect(500, { error: "db" });
  await request(app).post("/login").set("Content-Type", "application/json").send('{"name":').expect(400);
  await request(app).get("/nothing here").expect(404);
});
test("agent", async () => {
  const agent = request.agent(app);
  await agent.get("/me").expect(401);
  const res = await agent.post("/login").type("form").send({ name: "bob" }).expect(204);
  assert.match(res.headers["set-cookie"][0], /HttpOnly/);
  await agent.get("/me").expect(200, "hi bob").expect("Content-Type", /text/);
  await agent.post("/logout").expect(302).expect("Location", "/");
  await agent.get("/me").expect(401);
  assert.deepStrictEqual(audit.calls, [["bob"]]);
  await request(app).post("/login").send("name=cid").expect(204);
});
test("more", async () => {
  const { body } = await request(app).get("/private").query({ a: [1, 2] }).query("b=3").auth("u", "p").accept("json");
  assert.deepStrictEqual(body, { auth: "Basic dTpw", q: { a: ["1", "2"], b: "3" }, accept: "application/json" });
  assert.strictEqual((await request(app).get("/private").auth("tok", { type: "bearer" })).body.auth, "Bearer tok");
  await assert.rejects(request(app).get("/me").expect(200), /wanted status 200, got 401/);
  await new Promise((resolve, reject) => request(app).get("/me").expect(401).end((e) => (e ? reject(e) : resolve())));
  assert.strictEqual(create, createApp);
});
