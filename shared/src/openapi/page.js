"use strict";
(() => {
  const METHODS = ["get", "post", "put", "patch", "delete"];
  const at = (id) => document.getElementById(id);
  let api = null;
  let token = "";

  // Texts of the document become text nodes only: nothing in it is ever read as markup.
  const make = (tag, attributes, ...children) => {
    const node = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes || {})) {
      if (value !== undefined && value !== false) node.setAttribute(name, value === true ? "" : value);
    }
    node.append(...children.flat().filter((child) => child !== null && child !== undefined));
    return node;
  };

  const resolve = (value) => {
    if (!value || typeof value.$ref !== "string") return value;
    return value.$ref.slice(2).split("/").reduce((part, name) => part && part[name], api);
  };
  const nameOf = (value) => (value && value.$ref ? value.$ref.split("/").pop() : null);

  const inline = (text) => text.split(/(`[^`]+`)/).map((part) =>
    part.length > 1 && part.startsWith("`") ? make("code", {}, part.slice(1, -1)) : part);

  const prose = (text) => {
    const out = [];
    let list = null;
    for (const line of (text || "").split("\n")) {
      if (line.startsWith("- ")) {
        if (!list) out.push((list = make("ul")));
        list.append(make("li", {}, ...inline(line.slice(2))));
        continue;
      }
      list = null;
      if (line.startsWith("## ")) out.push(make("h2", {}, line.slice(3)));
      else if (line.trim()) out.push(make("p", {}, ...inline(line)));
    }
    return out;
  };

  const kind = (schema) => {
    if (!schema) return "";
    const name = nameOf(schema);
    if (name && api.components.schemas[name]) return [make("a", {href: "#schema-" + name}, name)];
    if (schema.enum) return [schema.enum.map(String).join(" | ")];
    if (schema.const !== undefined) return [JSON.stringify(schema.const)];
    const any = schema.anyOf || schema.oneOf;
    if (any) return any.flatMap((one, index) => (index ? [" or ", ...kind(one)] : kind(one)));
    if (schema.type === "array") return ["list of ", ...kind(schema.items)];
    const limits = ["format", "minimum", "maximum", "minLength", "maxLength", "pattern"]
      .filter((key) => schema[key] !== undefined).map((key) => key === "format" ? schema[key] : key + " " + schema[key]);
    return [[[].concat(schema.type || "any").join(" or "), ...limits].join(", ")];
  };

  const table = (head, rows) => make("table", {},
    make("thead", {}, make("tr", {}, head.map((title) => make("th", {scope: "col"}, title)))),
    make("tbody", {}, rows.map((row) => make("tr", {}, row.map((cell) => make("td", {}, ...[].concat(cell)))))));

  const properties = (schema) => table(["Member", "Type", "Meaning"],
    Object.entries(schema.properties || {}).map(([name, of]) => [
      [make("code", {class: of.deprecated ? "old" : undefined}, name)],
      [...kind(of), (schema.required || []).includes(name) ? ", required" : "", of.readOnly ? ", read only" : ""],
      inline(of.description || ""),
    ]));

  const sample = (schema, depth = 0) => {
    const of = resolve(schema) || {};
    if (of.examples) return of.examples[0];
    if (of.default !== undefined) return of.default;
    if (of.const !== undefined) return of.const;
    if (of.enum) return of.enum[0];
    if (of.oneOf || of.anyOf) return sample((of.oneOf || of.anyOf)[0], depth + 1);
    const type = [].concat(of.type || [])[0];
    if (type === "object") {
      const out = {};
      const wanted = depth ? of.required || [] : Object.keys(of.properties || {});
      for (const name of wanted) {
        const member = resolve(of.properties[name]) || {};
        if (!member.readOnly && depth < 4) out[name] = sample(member, depth + 1);
      }
      return out;
    }
    if (type === "array") return of.minItems ? [sample(of.items, depth + 1)] : [];
    if (type === "integer" || type === "number") return of.minimum || 0;
    if (type === "boolean") return false;
    if (type === "string") return {date: "2026-01-01", "date-time": "2026-01-01T00:00:00.000Z", decimal: "1.00", email: "a@example.com", uuid: "00000000-0000-7000-8000-000000000000"}[of.format] || "text";
    return null;
  };

  const parametersOf = (item, operation) => [...(item.parameters || []), ...(operation.parameters || [])].map(resolve);

  // A browser keeps to itself where a redirect leads; following it is the reader's to decide.
  const told = (answer) => answer.type === "opaqueredirect" ? "302" : String(answer.status);

  // An error names its kind: the way to what is said about it below.
  const explained = (text) => {
    try {
      const problem = JSON.parse(text);
      if (!problem.code || !at(problem.code)) return [];
      return [make("p", {class: "bad"}, make("a", {href: "#" + problem.code}, problem.code), ": " + problem.detail)];
    } catch {
      return [];
    }
  };

  const tryIt = (path, method, item, operation) => {
    const form = make("form", {class: "try"});
    const inputs = parametersOf(item, operation).map((parameter) => {
      const id = operation.operationId + "-" + parameter.name;
      const input = make("input", {id, required: parameter.required});
      return {parameter, input, row: [[make("label", {for: id}, make("code", {}, parameter.name)), parameter.required ? " *" : ""],
        [input], [...kind(parameter.schema), ". ", ...inline(parameter.description || "")]]};
    });
    if (inputs.length) form.append(table(["Parameter", "Value", "Meaning"], inputs.map((one) => one.row)));
    let body = null;
    let media = null;
    const content = operation.requestBody && operation.requestBody.content;
    if (content) {
      media = make("select", {"aria-label": "Media type"}, Object.keys(content).map((type) => make("option", {value: type}, type)));
      body = make("textarea", {"aria-label": "Body", spellcheck: "false"});
      const fill = () => { const shown = content[media.value]; body.value = JSON.stringify(shown.example === undefined ? sample(shown.schema) : shown.example, null, 2); };
      media.addEventListener("change", fill);
      fill();
      form.append(make("p", {}, "Body: ", ...kind(content[media.value].schema)), media, body);
    }
    const result = make("div", {role: "status"});
    form.append(make("button", {}, "Send"), result);
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      let address = path;
      const query = [];
      const headers = {};
      for (const {parameter, input} of inputs) {
        const value = input.value;
        if (value === "") continue;
        if (parameter.in === "path") address = address.replace("{" + parameter.name + "}", encodeURIComponent(value).replaceAll("%2C", ","));
        if (parameter.in === "query") query.push(encodeURIComponent(parameter.name) + "=" + encodeURIComponent(value));
        if (parameter.in === "header") headers[parameter.name] = value;
      }
      if (token) headers.Authorization = "Bearer " + token;
      if (body) headers["Content-Type"] = media.value;
      const url = address + (query.length ? "?" + query.join("&") : "");
      result.replaceChildren(make("p", {}, "Sending."));
      const begun = performance.now();
      try {
        const answer = await fetch(url, {method: method.toUpperCase(), headers, body: body ? body.value : undefined, redirect: "manual", cache: "no-store"});
        const text = await answer.text();
        const shown = text && (answer.headers.get("content-type") || "").includes("json") ? JSON.stringify(JSON.parse(text), null, 2) : text;
        result.replaceChildren(
          make("p", {class: answer.ok || answer.type === "opaqueredirect" ? undefined : "bad"}, make("b", {}, told(answer)), " " + method.toUpperCase() + " " + url + ", " + Math.round(performance.now() - begun) + " ms"),
          ...explained(text),
          make("pre", {}, [...answer.headers].map(([name, value]) => name + ": " + value).join("\n")),
          make("pre", {}, shown || "(no body)"));
      } catch (error) {
        result.replaceChildren(make("p", {class: "bad"}, "No answer: " + error.message));
      }
    });
    return form;
  };

  const operationOf = (path, method, item, operation) => make("details", {id: "op-" + operation.operationId},
    make("summary", {}, make("span", {class: "method " + method}, method), make("code", {class: operation.deprecated ? "old" : undefined}, path), " ",
      make("h3", {}, operation.summary), operation.deprecated ? " (deprecated)" : ""),
    make("div", {}, ...prose(operation.description), tryIt(path, method, item, operation),
      table(["Status", "Answer"], Object.entries(operation.responses).map(([status, given]) => {
        const answer = resolve(given);
        const content = Object.values(answer.content || {})[0];
        return [[make("code", {}, status)], [...(content ? [...kind(content.schema), ". "] : []), ...prose(answer.description)]];
      }))));

  const show = () => {
    at("about").replaceChildren(...prose(api.info.description));
    const index = at("index");
    const operations = at("operations");
    index.replaceChildren();
    operations.replaceChildren();
    const byTag = new Map((api.tags || []).map((tag) => [tag.name, {tag, nodes: [], entries: []}]));
    let count = 0;
    for (const [path, item] of Object.entries(api.paths)) {
      for (const method of METHODS.filter((name) => item[name])) {
        const operation = item[method];
        const group = byTag.get(operation.tags[0]);
        if (!group) continue;
        group.nodes.push(operationOf(path, method, item, operation));
        group.entries.push(make("li", {}, make("a", {href: "#op-" + operation.operationId, title: method.toUpperCase() + " " + path},
          make("span", {class: "method " + method}, method), operation.summary)));
        count += 1;
      }
    }
    for (const {tag, nodes, entries} of byTag.values()) {
      if (!nodes.length) continue;
      operations.append(make("h2", {id: "tag-" + tag.name}, tag.name), ...prose(tag.description), ...nodes);
      index.append(make("li", {}, make("a", {class: "tag", href: "#tag-" + tag.name}, tag.name), make("ul", {}, ...entries)));
    }
    at("schemas").replaceChildren(...Object.entries((api.components || {}).schemas || {}).map(([name, schema]) =>
      make("details", {id: "schema-" + name}, make("summary", {}, make("h3", {}, name)), make("div", {}, ...prose(schema.description), properties(schema)))));
    const forms = ["/v1/openapi.json", "/v1/openapi.yaml", "/v1/docs/llms.txt"].flatMap((form) => [" ", make("a", {href: form}, form.split("/").pop())]);
    at("state").replaceChildren(count + " operations for " + ((api["x-roles"] || []).join(", ") || "anonymous callers") + ". As files, for everybody:", ...forms);
    open();
  };

  const open = () => {
    const target = location.hash.length > 1 && at(decodeURIComponent(location.hash.slice(1)));
    if (!target) return;
    if (target.tagName === "DETAILS") target.open = true;
    target.scrollIntoView();
  };

  const load = async () => {
    at("state").textContent = "Loading.";
    try {
      const answer = await fetch("/v1/openapi.json", {headers: token ? {Authorization: "Bearer " + token} : {}});
      const document = await answer.json();
      if (!answer.ok) throw new Error(document.detail || answer.status);
      api = document;
      show();
    } catch (error) {
      at("state").textContent = "The document could not be read: " + error.message;
    }
  };

  at("credentials").addEventListener("submit", (event) => {
    event.preventDefault();
    token = at("token").value.trim();
    load();
  });
  at("find").addEventListener("input", () => {
    const wanted = at("find").value.toLowerCase();
    for (const group of at("index").children) {
      const whole = group.firstChild.textContent.toLowerCase().includes(wanted);
      const entries = [...group.lastChild.children];
      for (const entry of entries) entry.hidden = !whole && !(entry.textContent + entry.firstChild.title).toLowerCase().includes(wanted);
      group.hidden = entries.every((entry) => entry.hidden);
    }
  });
  // On paper everything is unfolded.
  addEventListener("beforeprint", () => { for (const folded of document.querySelectorAll("details")) folded.open = true; });
  addEventListener("hashchange", open);
  load();
})();
