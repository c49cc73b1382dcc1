// The journey with openapi-fetch and the types that openapi-typescript makes.

import { randomUUID } from "node:crypto";

import createClient from "openapi-fetch";
import type { components, paths } from "./schema.js";

type Problem = components["schemas"]["Problem"];
type Refused = { response: Response; error?: Problem };

const [URL, USER, PASSWORD, TOKEN, COURSE] = process.argv.slice(2) as [string, string, string, string, string];
const anybody = createClient<paths>({ baseUrl: URL });
const met: Record<string, unknown> = {};

function refused({ response, error }: Refused): unknown[] {
  if (error === undefined) throw new Error(`${response.url} was not refused`);
  return [response.status, error.outcome ?? null];
}

function sure<Shown>(answer: { response: Response; data?: Shown; error?: Problem }): Shown {
  if (answer.data === undefined) throw new Error(`${answer.response.status} ${answer.error?.detail}`);
  return answer.data;
}

const list = "/api/courses";
const entry = "/api/courses/{slug}";
const first = sure(await anybody.GET(list));
met["list"] = [first.results.length, first.count, first.degradation?.source ?? null];
met["filter"] = sure(await anybody.GET(list, { params: { query: { search: "africa", page_size: 5 } } })).count;
const slugs = new Set<string>();
for (let page = 1; ; page++) {
  const shown = sure(await anybody.GET(list, { params: { query: { page, page_size: 100 } } }));
  for (const course of shown.results) slugs.add(course.slug);
  if (shown.next === null) break;
}
met["pages"] = slugs.size;
const one = sure(await anybody.GET(entry, { params: { path: { slug: COURSE } } }));
met["entry"] = [one.slug, one.degradation?.source ?? null];
met["missing"] = refused(await anybody.GET(entry, { params: { path: { slug: "no-such-course" } } }));
met["nobody"] = refused(await anybody.GET("/api/auth/me"));

const signed = await anybody.POST("/api/auth/token", { body: { username: USER, password: PASSWORD } });
met["sign in"] = signed.response.status;
const ada = createClient<paths>({
  baseUrl: URL,
  headers: { Authorization: `Bearer ${signed.data?.access_token ?? TOKEN}` },
});
met["who"] = sure(await ada.GET("/api/auth/me")).username;

const create = {
  params: { header: { "Idempotency-Key": randomUUID() } },
  body: { title: `A course of ${randomUUID()}`, field: one.field },
};
const made = await ada.POST(list, create);
const again = await ada.POST(list, create);
met["create"] =
  made.data === undefined
    ? refused(made)
    : [made.response.status, again.data?.slug === made.data.slug, again.response.headers.get("Idempotent-Replayed")];
const slug = made.data?.slug ?? COURSE;
const change = (tag: string) =>
  ada.PATCH(entry, {
    params: { path: { slug }, header: { "If-Match": tag } },
    body: { title: "Another title", language: null },
  });
met["change of another"] = refused(await change('"9-0"'));
const changed = await change(made.response.headers.get("ETag") ?? '"9-0"');
met["change"] = changed.data?.title ?? refused(changed);
const gone = await ada.DELETE(entry, { params: { path: { slug } } });
met["delete"] = gone.response.ok ? gone.response.status : refused(gone);
const left = await anybody.POST("/api/auth/logout", {
  body: { refresh_token: signed.data?.refresh_token ?? "none" },
});
met["sign out"] = left.response.ok ? left.response.status : refused(left);

const rating = sure(await anybody.GET("/api/courses/{slug}/rating", { params: { path: { slug: COURSE } } }));
met["rating"] = [rating.rating !== null, rating.degradation?.source ?? null];
met["health"] = sure(await anybody.GET("/api/health")).status;
console.log(JSON.stringify(met));
