/** A stream of the server's messages, which is opened again when it breaks off. */
import type { StreamEvents } from 'reanchor/serve';
import { ask } from './door.js';
import { MessageReader } from './messages.js';

/** connecting; open; lost: the server does not answer, and is asked again; refused: the token is not its own. */
export type Connection = 'connecting' | 'open' | 'lost' | 'refused';

export type Handlers = { [Name in keyof StreamEvents]?: (data: StreamEvents[Name]) => void };

const retryMs = 3000;

/**
 * Follows a stream until the returned function is called. It rests while the page is hidden: a browser has only a few
 * connections to a server.
 */
export function connect(query: string, handlers: Handlers, onConnection: (connection: Connection) => void): () => void {
  let stop = new AbortController();
  const start = () => {
    stop.abort();
    stop = new AbortController();
    if (!document.hidden) void follow(query, handlers, onConnection, stop.signal);
  };
  document.addEventListener('visibilitychange', start);
  start();
  return () => {
    document.removeEventListener('visibilitychange', start);
    stop.abort();
  };
}

async function follow(
  query: string,
  handlers: Handlers,
  onConnection: (connection: Connection) => void,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    let after: Connection = 'lost';
    try {
      const answer = await ask(`./api/stream?${query}`, signal);
      if (answer.status === 401) after = 'refused';
      else if (answer.ok) {
        onConnection('open');
        await readMessages(answer.body!, handlers, signal);
      }
    } catch {
      // It broke off.
    }
    if (signal.aborted) return;
    onConnection(after);
    await new Promise((resolve) => setTimeout(resolve, retryMs));
  }
}

async function readMessages(
  body: ReadableStream<Uint8Array<ArrayBuffer>>,
  handlers: Handlers,
  signal: AbortSignal,
): Promise<void> {
  const messages = new MessageReader();
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done || signal.aborted) return;
    for (const { event, data } of messages.read(value)) {
      (handlers[event as keyof Handlers] as ((data: unknown) => void) | undefined)?.(JSON.parse(data));
    }
  }
}
