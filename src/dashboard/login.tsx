import { logIn } from './api.js';
import { Field, Form } from './form.js';

export function Login() {
  return (
    <main class="login" id="content" tabIndex={-1}>
      <h1>Resync gateway</h1>
      <p>
        Log in with the admin token: the value of ADMIN_TOKEN, or the content of the file admin-token beside the
        database.
      </p>
      <Form
        label="Log in"
        action="Log in"
        onSubmit={async ({ token = '' }) => {
          await logIn(token.trim());
        }}
      >
        <Field name="token" label="Admin token" type="password" required />
      </Form>
      <p class="dim">
        The token stays with the gateway. The browser keeps a cookie that no script can read, for twelve hours.
        {!isSecureContext && ' This page came over plain http: anyone on the way can read the token.'}
      </p>
    </main>
  );
}
