/** Reading the body of a chat completion. */

/** A token of a reply, and the most probable tokens in its place, natural logarithms. */
interface ReplyToken {
  token: string;
  logprob: number;
  top: { token: string; logprob: number }[];
}

export interface ChatReply {
  text: string;
  /** Why the text ended: stop, length, ... */
  finish?: string | undefined;
  /** The model that the server says it asked. */
  model?: string | undefined;
  /** Where log-probabilities were asked for and given. */
  tokens?: ReplyToken[] | undefined;
}

/** A body that is no reply, and why. */
export interface MalformedReply {
  malformed: string;
}

type Json = Record<string, unknown> | undefined | null;

/** The reply in the body of a chat completion, or what is wrong with it; and the tokens that the server counted. */
export function readChatBody(body: string): { reply: ChatReply | MalformedReply; usedTokens: number | undefined } {
  let value: Json;
  try {
    value = JSON.parse(body) as Json;
  } catch {
    return { reply: { malformed: 'the body is not JSON' }, usedTokens: undefined };
  }
  const total = (value?.usage as Json)?.total_tokens;
  const usedTokens = typeof total === 'number' && total >= 0 ? total : undefined;
  return { reply: replyOf(value), usedTokens };
}

function replyOf(value: Json): ChatReply | MalformedReply {
  const choice = (Array.isArray(value?.choices) ? value.choices[0] : undefined) as Json;
  const message = choice?.message as Json;
  if (!message) return { malformed: 'the body has no message' };
  if (message.role !== undefined && message.role !== 'assistant') {
    return { malformed: 'the message is not from the assistant' };
  }
  if (typeof message.content !== 'string') return { malformed: 'the message has no text' };
  const text = (one: unknown) => (typeof one === 'string' ? one : undefined);
  return {
    text: message.content,
    finish: text(choice?.finish_reason),
    model: text(value?.model),
    tokens: tokensOf((choice?.logprobs as Json)?.content),
  };
}

function tokensOf(content: unknown): ReplyToken[] | undefined {
  if (!Array.isArray(content)) return undefined;
  const tokens: ReplyToken[] = [];
  for (const one of content as Json[]) {
    const top = Array.isArray(one?.top_logprobs) ? one.top_logprobs : [];
    if (![one, ...top].every(isToken)) return undefined;
    tokens.push({
      token: one!.token as string,
      logprob: one!.logprob as number,
      top: (top as { token: string; logprob: number }[]).map(({ token, logprob }) => ({ token, logprob })),
    });
  }
  return tokens;
}

const isToken = (one: Json) => typeof one?.token === 'string' && typeof one.logprob === 'number';
