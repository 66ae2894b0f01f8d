// A day of a v1 client: node main.js <base URL> <admin email> <admin password>.

import assert from "node:assert/strict";
import { Api } from "./api";
import { Chat } from "./chat";
import { RequestFailed } from "./http";

const [base, adminEmail, adminPassword] = process.argv.slice(2);
const step = (text: string) => console.log(`ok ${text}`);

async function main() {
  const api = new Api(base);
  const person = { email: `v1-${Date.now()}-${process.pid}@example.org`, password: "TestPass123!-long" };
  const registered = await api.register({ ...person, firstName: "Test", lastName: "User", specialty: "cardiology" });
  assert.equal(registered.user.email, person.email);
  assert.ok(registered.tokens.accessToken);
  step("register");

  const { user, tokens } = await api.login(person);
  assert.equal(user.role, "user");
  assert.equal(tokens.tokenType, "bearer");
  const payload = JSON.parse(atob(tokens.accessToken.split(".")[1].replaceAll("-", "+").replaceAll("_", "/")));
  assert.deepEqual([payload.sub, payload.type], [user.id, "access"]);
  step("login");

  assert.equal((await api.me()).email, person.email);
  step("me");

  // Three requests at once find the token spoiled, and each refreshes by itself.
  api.tokens = { ...api.tokens!, accessToken: api.tokens!.accessToken.slice(0, -4) + "AAAA" };
  const people = await Promise.all([api.me(), api.me(), api.me()]);
  assert.ok(people.every((p) => p.email === person.email));
  assert.equal(api.refreshes, 3);
  step("refresh on 401");

  const percents: number[] = [];
  const upload = await api.uploadFile(new File(["Peak flow. ".repeat(60_000)], "diary.txt"), (p) => percents.push(p));
  assert.ok(upload.id && upload.url);
  assert.equal(percents.at(-1), 100);
  assert.ok(percents.length > 2 && percents.every((p, i) => i === 0 || p >= percents[i - 1]));
  const file = await api.http.get<string>(upload.url);
  assert.equal(file.data.length, 660_000);
  step("upload with progress");

  await administer(person.email);
  await converse(api);

  await api.logout();
  await assert.rejects(api.me(), (err) => err instanceof RequestFailed && err.response.status === 401);
  step("logout");
}

async function administer(stranger: string) {
  const admin = new Api(base);
  assert.equal((await admin.login({ email: adminEmail, password: adminPassword })).user.role, "admin");
  const word = `marker${Date.now()}`;
  const uploaded = await admin.uploadDocument(new File([`A leaflet about ${word}, written for ${stranger}.`], "leaflet.txt"), {
    source_type: "guideline",
    specialty: "cardiology",
    title: "A leaflet",
  });
  assert.equal(uploaded.filename, "leaflet.txt");
  step("upload a document");

  const list = await admin.listDocuments({ skip: 0, limit: 100 });
  assert.ok(Array.isArray(list) && list.some((d) => d.id === uploaded.document_id));
  step("list documents");

  assert.ok((await admin.reindex([uploaded.document_id])).job_id);
  const jobs = await admin.jobs(10);
  assert.ok(Array.isArray(jobs) && jobs.some((j) => j.document_id === uploaded.document_id));
  step("jobs");

  const stats = await admin.stats();
  assert.ok(stats.total_documents > 0 && stats.total_chunks > 0 && stats.vector_count > 0);
  step("stats");

  await admin.deleteDocument(uploaded.document_id);
  assert.ok(!(await admin.listDocuments()).some((d) => d.id === uploaded.document_id));
  step("delete a document");

  // A page that is not allowed to anybody but administrators.
  const user = new Api(base);
  await user.register({ email: `x-${stranger}`, password: "TestPass123!-long", firstName: "X", lastName: "Y" }).then((r) => (user.tokens = r.tokens));
  await assert.rejects(user.jobs(), (err) => err instanceof RequestFailed && err.response.status === 403 && err.response.data.detail !== undefined);
  step("an error as the guide prints it");
}

async function converse(api: Api) {
  const chat = new Chat(base.replace(/^http/, "ws"), api.tokens!.accessToken, "quick_consult");
  await chat.until(() => chat.sessionId !== null);
  step("session.start");

  chat.ask("What should I do during an asthma attack?");
  await chat.until(() => chat.messages.some((m) => !m.streaming && m.citations !== undefined));
  const [answer] = chat.messages;
  assert.equal(answer.role, "assistant");
  assert.ok(answer.content.length > 20);
  assert.ok(answer.citations!.length > 0 && answer.citations![0].quote.length > 0);
  assert.deepEqual(chat.errors, []);
  step("chat in v1 vocabulary");
  chat.close();
}

await main();
