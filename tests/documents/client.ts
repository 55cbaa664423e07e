// What a TypeScript client does with the types that openapi-typescript makes of the document.
import createClient from "openapi-fetch";
import type { paths } from "./schema.js";

declare const process: { argv: string[] };

const [url, token] = process.argv.slice(2);
if (!url || !token) throw new Error("usage: client.js URL TOKEN");
const api = createClient<paths>({
  baseUrl: url,
  headers: { Authorization: `Bearer ${token}` },
  querySerializer: { array: { style: "form", explode: false } },
});

function must<T>(condition: T, what: string): asserts condition {
  if (!condition) throw new Error(what);
}

const ids = ["ts-a", "ts-b", "ts-c"];
for (const id of ids) {
  const { data, error, response } = await api.POST("/v1/books", {
    body: { id, title: `A book, ${id}`, author_id: "austen", shelf_id: "classics", price: "9.90", format: "audio", tags: ["ts"] },
    params: { header: { "Idempotency-Key": crypto.randomUUID() } },
  });
  must(data, JSON.stringify(error));
  must(response.status === 201 && response.headers.get("location") === `/v1/books/${id}` && data.price === "9.90", `created ${id}`);
}

// A list with filters, page by page.
const found: string[] = [];
let cursor: string | undefined;
do {
  const query = { "id[prefix]": "ts-", format: "audio" as const, fields: ["id" as const, "title" as const], limit: 2, sort: "id" };
  const { data, error } = await api.GET("/v1/books", { params: { query: cursor === undefined ? query : { ...query, cursor } } });
  must(data, JSON.stringify(error));
  must(data.data.length <= 2, "at most two");
  found.push(...data.data.map((book) => book.id ?? ""));
  cursor = data.next_cursor ?? undefined;
} while (cursor);
must(found.join() === ids.join(), `found ${found.join()}`);

const changed = await api.PATCH("/v1/books/{id}", { params: { path: { id: "ts-a" } }, body: { pages: 7 } });
must(changed.data?.pages === 7, JSON.stringify(changed.error));

// An error has its type too.
const { error } = await api.POST("/v1/books", { body: { id: "ts-d", title: "", author_id: "austen", shelf_id: "classics", price: "0" } });
// 414 and 431 are the gateway's own and have another body.
must(error && "code" in error && error.code === "validation_failed" && (error.errors ?? []).length === 2, JSON.stringify(error));

for (const id of ids) {
  const { response } = await api.DELETE("/v1/books/{id}", { params: { path: { id } } });
  must(response.status === 204, `deleted ${id}`);
}
const gone = await api.GET("/v1/books/{id}", { params: { path: { id: "ts-a" } } });
must(gone.response.status === 404 && gone.error && "code" in gone.error && gone.error.code === "not_found", "gone");
console.log("TypeScript: created, listed in pages, changed, deleted");
