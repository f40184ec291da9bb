// Supabase's local API server (@supabase/lite) on our Postgres: the configuration of `lite start --config`.
//
// The starter puts everything that differs from run to run into settings.json, in the folder it starts lite in.
// Two things are added to what lite brings:
//   - POST /auth/v1/admin/users, which a hosted project has and lite 0.10 does not;
//   - jsonb parameters that arrive as jsonb. lite hands them to the driver as JSON text, which the driver's own
//     encoder would wrap once more, so that every object would become a jsonb string.

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

const auth = {
  ...project.auth,
  enabled: true,
  jwt_secret: jwtSecret,
  publishable_key: publishableKey,
  secret_key: secretKey,
};

// Users are made by an app of its own that allows sign-up and that nothing but this file can reach.
const registrar = new App({ connection, auth: { ...auth, enable_signup: true } });

async function createUser(context, next) {
  if (context.req.method !== "POST" || context.req.path !== "/auth/v1/admin/users") return next();
  if (context.req.header("apikey") !== secretKey) {
    return context.json({ code: 401, error_code: "no_authorization", msg: "The secret key is needed" }, 401);
  }
  const { email, password, user_metadata: data } = await context.req.json().catch(() => ({}));
  const answer = await registrar.fetch(
    new Request("http://127.0.0.1/auth/v1/signup", {
      method: "POST",
      headers: { apikey: secretKey, "content-type": "application/json" },
      body: JSON.stringify({ email, password, data }),
    }),
  );
  const body = await answer.json();
  return context.json(answer.ok ? body.user : body, answer.status);
}

export default {
  connection,
  api: { ...project.api, port },
  auth,
  options: { server: { middlewares: [createUser] } },
};
