// Supabase's local API server (@supabase/lite) on our Postgres: the configuration of `lite start --config`.
//
// The starter puts everything that differs from run to run into settings.json, in the folder it starts lite in.
// Five things make lite 0.10 behave as a hosted project does:
//   - POST /auth/v1/admin/users exists. Holders of the secret key may also use POST /auth/v1/signup, the only
//     way that clients written for lite know;
//   - sign-up that is off is off for POST /auth/v1/otp too, where lite would make the user all the same;
//   - jsonb parameters arrive as jsonb. lite hands them to the driver as JSON text, which the driver's own
//     encoder would wrap once more, so that every object would become a jsonb string;
//   - a changed schema is read again. lite would keep to what it read for its first request;
//   - the dashboard page lists views beside tables. lite reads them and leaves them out.

import { readFileSync } from "node:fs";
import { App } from "@supabase/lite";
import { createPostgresConnection } from "@supabase/lite/postgres";

const { databaseUrl, port, secretKey, publishableKey, jwtSecret, project } = JSON.parse(
  readFileSync("settings.json", "utf8"),
);

const connection = createPostgresConnection({
  url: databaseUrl,
  postgresOptions: {
    max: 40, // sixteen clients at once, and cleanup, and the dashboard
    onnotice: () => {},
    types: {
      jsonb: {
        to: 3802,
        from: [3802],
        serialize: (value) => (typeof value === "string" ? value : JSON.stringify(value)),
        parse: (text) => JSON.parse(text),
      },
    },
  },
});

await connection.driver.listen("pgrst", () => connection.clearSchemaCache());

const auth = {
  ...project.auth,
  enabled: true,
  jwt_secret: jwtSecret,
  publishable_key: publishableKey,
  secret_key: secretKey,
};

// Users are made by an app of its own that allows sign-up and that nothing but this file can reach. As on a
// hosted project, a password that the operator chooses is not judged by the length that sign-up asks for.
const registrar = new App({
  connection,
  auth: { ...auth, enable_signup: true, minimum_password_length: 6 },
});

const refusal = (context, status, code, message) =>
  context.json({ code: status, error_code: code, msg: message }, status);

async function createUser(context, shape) {
  const { email, password, data, user_metadata: metadata } = await context.req.json().catch(() => ({}));
  const answer = await registrar.fetch(
    new Request("http://127.0.0.1/auth/v1/signup", {
      method: "POST",
      headers: { apikey: secretKey, "content-type": "application/json" },
      body: JSON.stringify({ email, password, data: metadata ?? data }),
    }),
  );
  const body = await answer.json();
  return context.json(answer.ok ? shape(body) : body, answer.status);
}

async function usersOnlyByTheOperator(context, next) {
  const isOperator = context.req.header("apikey") === secretKey;
  switch (`${context.req.method} ${context.req.path}`) {
    case "POST /auth/v1/admin/users":
      if (!isOperator) return refusal(context, 401, "no_authorization", "The secret key is needed");
      return createUser(context, (session) => session.user);
    case "POST /auth/v1/signup":
      return isOperator ? createUser(context, (session) => session) : next();
    case "POST /auth/v1/otp":
      return refusal(context, 422, "otp_disabled", "Signups not allowed for otp");
    default:
      return next();
  }
}

async function viewsBesideTables(context, next) {
  await next();
  if (context.req.path !== "/_system/introspect") return;
  const schema = await context.res.json();
  const views = schema.views.map(({ name, schema }) => ({ name, schema, type: "view", rows: 0, sql: "", engine: "", collation: "" }));
  context.res = context.json({ ...schema, tables: [...schema.tables, ...views] });
}

export default {
  connection,
  api: { ...project.api, port },
  auth,
  options: { server: { middlewares: [usersOnlyByTheOperator, viewsBesideTables] } },
};
