/**
 * The token that opens the server's doors. The address that the command prints brings it; it is kept where this origin
 * alone, which is this port, can read it, so that other tabs, a reload and a bookmark have it too, and goes into a
 * header. A cookie would go to every port of the machine.
 */
const key = 'reanchor-token';

let token: string | undefined;

/** Takes the token out of the page's address, where it would stay in the history. */
export function takeToken(): void {
  const given = new URLSearchParams(location.search).get('token');
  if (given !== null) token = given;
  if (location.search !== '') history.replaceState(null, '', `${location.pathname}${location.hash}`);
}

/** The server's answer, whatever its status. Errors: the browser's, when there is none. */
export async function ask(path: string, signal?: AbortSignal): Promise<Response> {
  token ??= kept();
  const answer = await askWith(token, path, signal);
  if (answer.ok) keep(token);
  if (answer.status !== 401) return answer;
  // One that a link brought may be wrong; a dashboard that was started anew was opened in another tab.
  const other = kept();
  if (other === undefined || other === token) return answer;
  token = other;
  return askWith(token, path, signal);
}

function askWith(given: string | undefined, path: string, signal: AbortSignal | undefined): Promise<Response> {
  return fetch(path, {
    headers: given === undefined ? {} : { authorization: `Bearer ${given}` },
    cache: 'no-store',
    ...(signal && { signal }),
  });
}

/** Undefined where there is none, and where the browser keeps nothing for pages. */
function kept(): string | undefined {
  try {
    return localStorage.getItem(key) ?? undefined;
  } catch {
    return undefined;
  }
}

function keep(accepted: string | undefined): void {
  if (accepted === undefined || accepted === kept()) return;
  try {
    localStorage.setItem(key, accepted);
  } catch {
    // This tab has it until it is closed.
  }
}
