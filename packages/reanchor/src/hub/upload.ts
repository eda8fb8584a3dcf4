/** What is sent to the Hub: a repository that is made, files that are uploaded and committed. */
import { pathToFileURL } from 'node:url';
import { shown, UserError } from '../errors.js';
import { bytesAtMost, isRecord } from '../formats/index.js';
import { HubRefusal, library, type Session, withoutToken } from './client.js';
import { isCommit } from './names.js';
import { HubUnreachable } from './patience.js';

/** Nothing more is expected of an upload in which nothing was taken for so long. */
const stalledMs = 60_000;
const mostAnswerBytes = 1 << 24;
const goOn = 'push again: what was uploaded is not sent again';

/** Makes the repository. Errors: those of {@link commitFiles}. */
export async function createRepository(session: Session, isPrivate: boolean): Promise<void> {
  const { createRepo } = await library();
  const { settings, repository } = session;
  await sending(session, () =>
    createRepo({
      repo: { type: repository.type, name: repository.id },
      ...(isPrivate && { visibility: 'private' }),
      hubUrl: settings.endpoint,
      // `fetch` sends the token, to the endpoint alone and whatever it begins with.
      accessToken: '',
      fetch: sendingFetch(session),
    }),
  );
}

/** Makes the branch that is the session's revision, with nothing in it. Errors: those of {@link commitFiles}. */
export async function createBranch(session: Session): Promise<void> {
  const { createBranch: create } = await library();
  const { settings, repository } = session;
  const { type, id, revision } = repository;
  const options = { branch: revision, empty: true, hubUrl: settings.endpoint, fetch: sendingFetch(session) };
  await sending(session, () => create({ ...options, repo: { type, name: id } }));
}

/** What becomes another content of a branch. */
export interface Commit {
  /** Files to send: their paths there, and where they are here. */
  files: readonly { path: string; file: string }[];
  /** Paths to remove. */
  deleted: readonly string[];
  message: string;
  /** The commit that the branch has to be at; undefined for one without. */
  parent: string | undefined;
  /** Hears of bytes of large files: that so many more were sent, or that so many were there before. */
  onBytes?: ((change: { sent?: number; known?: number }) => void) | undefined;
}

/**
 * Sends files and makes a commit of them, all or none; returns its name. Large files (Git LFS) go first, each whole,
 * and those that the Hub has already are not sent. Errors: HubUnreachable; HubRefusal that says what to do; UserError
 * for an answer that makes no sense; the signal's reason.
 */
export async function commitFiles(session: Session, commit: Commit): Promise<string> {
  const { commit: make } = await library();
  const { settings, repository, signal } = session;
  const made = await sending(session, () =>
    make({
      repo: { type: repository.type, name: repository.id },
      branch: repository.revision,
      title: commit.message,
      ...(commit.parent !== undefined && { parentCommit: commit.parent }),
      operations: [
        ...commit.files.map(({ path, file }) => ({
          operation: 'addOrUpdate' as const,
          path,
          content: pathToFileURL(file),
        })),
        ...commit.deleted.map((path) => ({ operation: 'delete' as const, path })),
      ],
      hubUrl: settings.endpoint,
      fetch: sendingFetch(session, commit.onBytes),
      ...(signal && { abortSignal: signal }),
      // Its store takes files of Xet as those of LFS too, of which every file that is whole stays.
      useXet: false,
    }),
  );
  const oid = made?.commit?.oid;
  if (typeof oid === 'string' && isCommit(oid)) return oid;
  throw new UserError(`${settings.endpoint} names ${shown(oid)} as the commit that was made: look at the repository`);
}

/** What `send` gives, with the words of a person for what goes wrong, and no token in them. */
async function sending<T>({ settings, signal }: Session, send: () => Promise<T>): Promise<T> {
  try {
    return await send();
  } catch (cause) {
    signal?.throwIfAborted();
    if (cause instanceof UserError || !(cause instanceof Error)) throw cause;
    const { endpoint } = settings;
    const said = withoutToken(cause.message, settings).slice(0, 300);
    const { code } = (cause.cause ?? {}) as NodeJS.ErrnoException;
    if (cause instanceof TypeError && ['fetch failed', 'terminated'].includes(cause.message)) {
      throw new HubUnreachable(
        `the connection to ${endpoint} failed (${code ?? said}): check the network, or HF_ENDPOINT, and ${goOn}`,
        { cause },
      );
    }
    if ('syscall' in cause) throw cause;
    throw new UserError(`${endpoint} gives an answer that makes no sense (${said}): is it the address of a Hub?`, {
      cause,
    });
  }
}

/**
 * `fetch` that sends the token to the endpoint and to nobody else, tells how many bytes of a file are on their way, and
 * gives up where nothing moves.
 */
function sendingFetch(session: Session, onBytes: Commit['onBytes'] = () => {}): typeof fetch {
  const { settings, signal } = session;
  return async (input, init = {}) => {
    const url = new URL(input instanceof Request ? input.url : String(input));
    const isEndpoint = url.origin === new URL(settings.endpoint).origin;
    const headers = new Headers(init.headers);
    headers.set('user-agent', 'reanchor');
    headers.delete('authorization');
    if (isEndpoint && settings.token !== undefined) headers.set('authorization', `Bearer ${settings.token}`);
    let moved = 0;
    const onSent = (bytes: number) => {
      moved += bytes;
      onBytes({ sent: bytes });
    };
    const body = init.body instanceof Blob ? counted(init.body, onSent) : init.body;
    const { response, text } = await moving(
      session,
      () => moved,
      async (stop) => {
        const signals = [init.signal, signal, stop].filter((one) => one instanceof AbortSignal);
        const options = { ...init, headers, ...(body != null && { body }), signal: AbortSignal.any(signals) };
        const answer = await fetch(url, options);
        return { response: answer, text: answer.body && (await bytesAtMost(answer.body, mostAnswerBytes)) };
      },
    );
    if (!response.ok) throw refusalOf(response, text, isEndpoint, session);
    if (text === undefined) throw new UserError(`${url.origin} answers with more than ${mostAnswerBytes} bytes`);
    if (url.pathname.endsWith('/info/lfs/objects/batch')) onBytes({ known: knownBytes(text) });
    return new Response(text && new Uint8Array(text), { status: response.status, headers: response.headers });
  };
}

/** What is coming, as long as something moves. Errors: HubUnreachable. */
async function moving<T>(
  { waiting }: Session,
  moved: () => number,
  ask: (stop: AbortSignal) => Promise<T>,
): Promise<T> {
  const stop = new AbortController();
  const watch = async (): Promise<never> => {
    for (let last = -1; ; ) {
      if (moved() === last) break;
      last = moved();
      await waiting.clock.sleep(stalledMs, stop.signal);
    }
    throw new HubUnreachable(
      `${waiting.endpoint} has taken nothing for ${stalledMs / 1000} s: check the network, and ${goOn}`,
    );
  };
  try {
    return await Promise.race([ask(stop.signal), watch()]);
  } finally {
    stop.abort();
  }
}

/** Bytes of a batch of LFS that nothing is to be done for: they are there. */
function knownBytes(text: Uint8Array | null): number {
  const { objects } = JSON.parse(Buffer.from(text ?? []).toString()) as { objects?: unknown };
  if (!Array.isArray(objects)) return 0;
  const there = objects.filter((one) => isRecord(one) && !isRecord(one.actions) && Number.isSafeInteger(one.size));
  return there.reduce((sum, { size }) => sum + size, 0);
}

/** The same blob, which tells how many of its bytes are taken. */
function counted(blob: Blob, onSent: (bytes: number) => void): Blob {
  const copy = blob.slice();
  copy.stream = () =>
    blob.stream().pipeThrough(
      new TransformStream({
        transform(chunk: Uint8Array<ArrayBuffer>, controller) {
          onSent(chunk.length);
          controller.enqueue(chunk);
        },
      }),
    );
  return copy;
}

/** Why the Hub, or the store that it names, takes something not, and what to do. */
function refusalOf(
  { status, headers }: Response,
  text: Uint8Array | null | undefined,
  isEndpoint: boolean,
  { repository, settings }: Session,
): UserError {
  const { id } = repository;
  const { endpoint } = settings;
  const said = headers.get('x-error-message') ?? saidIn(text);
  const why = withoutToken(said ?? 'no reason is given', settings).slice(0, 300);
  const refused = (message: string) => new HubRefusal(status, headers.get('x-error-code'), message);
  if (status === 429 || status >= 500) {
    return new HubUnreachable(`${isEndpoint ? endpoint : 'the store of the Hub'} answers ${status} (${why}): ${goOn}`);
  }
  if (!isEndpoint) return refused(`the store of the Hub refuses a file (${status}: ${why}): ${goOn}`);
  switch (status) {
    case 401:
      return refused(
        `${endpoint} does not know the token (${why}): make one with write access at ${endpoint}/settings/tokens, and set HF_TOKEN to it`,
      );
    case 403:
      return refused(
        `the token may not write to ${id} (${why}): make one with write access to it at ${endpoint}/settings/tokens, or name a repository of its account`,
      );
    case 404:
      return refused(`${endpoint} shows no ${id} (${why}): check the name, and that the token may see it`);
    case 409:
    case 412:
      return refused(
        `${id} was made, or changed, by somebody else meanwhile (${status}: ${why}): look at ${endpoint}/${id}, and push again`,
      );
    default:
      return refused(`${endpoint} refuses this for ${id} (${status}: ${why})`);
  }
}

/** The words of an answer for what is wrong. */
function saidIn(text: Uint8Array | null | undefined): string | undefined {
  try {
    const { error, message } = JSON.parse(Buffer.from(text ?? []).toString()) as Record<string, unknown>;
    return [error, message].find((one) => typeof one === 'string');
  } catch {
    return undefined;
  }
}
