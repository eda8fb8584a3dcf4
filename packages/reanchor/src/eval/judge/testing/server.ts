// A chat endpoint on the loopback interface, for tests: real HTTP, with every kind of trouble.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** What the server does with a request. */
export type Behaviour =
  | { text: string; role?: string | null; tokens?: number; logprobs?: unknown; finish?: string }
  | { status: number; headers?: Record<string, string>; body?: string }
  /** A body sent as it is, with status 200. */
  | { body: string; type?: string }
  /** A body that breaks off: less than its length says, or a chunked one without an end; or that never goes on. */
  | { cut: string; chunked?: boolean; stalls?: boolean };

export interface AskedRequest {
  body: {
    model: string;
    messages: { role: string; content: string }[];
    logprobs?: boolean;
    [field: string]: unknown;
  };
  headers: IncomingMessage['headers'];
  /** The content of the last message. */
  prompt: string;
  /** How often this prompt has been asked before. */
  nth: number;
}

export interface TestServer extends AsyncDisposable {
  /** With /v1. */
  url: string;
  requests: AskedRequest[];
  /** Most requests under way at once. */
  peak: number;
  /** Requests of each prompt. */
  counts: Map<string, number>;
}

/** Starts a server whose answers `behave` chooses. */
export async function testServer(
  behave: (request: AskedRequest) => Behaviour | Promise<Behaviour>,
): Promise<TestServer> {
  const requests: AskedRequest[] = [];
  const counts = new Map<string, number>();
  let open = 0;
  const answer = async (request: IncomingMessage, response: ServerResponse) => {
    server.peak = Math.max(server.peak, ++open);
    response.on('close', () => open--);
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    if (request.method !== 'POST' || request.url !== '/v1/chat/completions') {
      response.writeHead(404).end();
      return;
    }
    const body = JSON.parse(Buffer.concat(chunks).toString()) as AskedRequest['body'];
    const prompt = body.messages.at(-1)!.content;
    const nth = counts.get(prompt) ?? 0;
    counts.set(prompt, nth + 1);
    const asked = { body, headers: request.headers, prompt, nth };
    requests.push(asked);
    await send(await behave(asked), response);
  };
  const http = createServer((request, response) => {
    answer(request, response).catch((error: unknown) => response.destroy(error as Error));
  });
  await new Promise<void>((listening) => http.listen(0, '127.0.0.1', listening));
  const server: TestServer = {
    url: `http://127.0.0.1:${(http.address() as AddressInfo).port}/v1`,
    requests,
    counts,
    peak: 0,
    async [Symbol.asyncDispose]() {
      http.closeAllConnections();
      await new Promise((closed) => http.close(closed));
    },
  };
  return server;
}

async function send(behaviour: Behaviour, response: ServerResponse): Promise<void> {
  const json = { 'content-type': 'application/json' };
  if ('cut' in behaviour) {
    const length = behaviour.chunked ? {} : { 'content-length': behaviour.cut.length + 100 };
    // The client gets all of it, and then the end of the connection.
    const hangUp = () => !behaviour.stalls && response.socket?.end();
    response.writeHead(200, { ...json, ...length }).write(behaviour.cut, hangUp);
  } else if ('status' in behaviour) {
    response.writeHead(behaviour.status, behaviour.headers).end(behaviour.body);
  } else if ('body' in behaviour) {
    response.writeHead(200, { 'content-type': behaviour.type ?? 'application/json' }).end(behaviour.body);
  } else {
    response.writeHead(200, json).end(JSON.stringify(completion(behaviour)));
  }
}

function completion({
  text,
  role = 'assistant',
  tokens,
  logprobs,
  finish = 'stop',
}: Extract<Behaviour, { text: string }>) {
  const message = { ...(role !== null && { role }), content: text };
  return {
    model: 'served-model',
    choices: [{ index: 0, message, finish_reason: finish, ...(logprobs !== undefined && { logprobs }) }],
    ...(tokens !== undefined && { usage: { total_tokens: tokens } }),
  };
}

/** The log-probabilities of a one-token reply, in the shape of the chat endpoint. */
export const tokenLogprobs = (top: Record<string, number>) => ({
  content: [
    {
      token: Object.keys(top)[0],
      logprob: Object.values(top)[0],
      top_logprobs: Object.entries(top).map(([token, logprob]) => ({ token, logprob })),
    },
  ],
});
