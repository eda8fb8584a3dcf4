import { UsageError, UserError } from '../errors.js';
import { type Chat, runCommand, type Speaker } from './chat-commands.js';
import { type ChatInput, type ChatStreams, openInput } from './chat-input.js';
import { flagOf } from './failure.js';
import { deviceFlag } from './flags.js';
import { downloadStatus, number } from './progress.js';
import { type SamplingFlags, samplingOf, stopStringsOf } from './sampling.js';
import type { Terminal } from './terminal.js';

/** The flags of `chat` as commander gives them. */
export interface ChatFlags extends SamplingFlags {
  model: string;
  adapter?: string;
  against?: string;
  againstAdapter?: string;
  chatTemplate?: string;
  stop: string[];
  device?: string;
}

/**
 * `reanchor chat`: answers of one model or of two to every line, streamed to stdout as they are written; what else is
 * said goes to stderr. It ends with its input, or by /quit. Returns the exit code: 1 where a line of a pipe, which
 * nobody can say again, was not answered.
 */
export async function chatVerb(flags: ChatFlags, terminal: Terminal, streams: ChatStreams = process): Promise<number> {
  const { against, againstAdapter, ...sampling } = flags;
  if (againstAdapter !== undefined && against === undefined)
    throw new UsageError('--against-adapter has no effect without --against, the model that it is on');
  samplingOf(sampling);
  const stopStrings = stopStringsOf(flags.stop);
  const speakers = await openSpeakers(flags, terminal);
  try {
    using input = openInput(streams);
    if (streams.stdin.isTTY) terminal.note(terminal.colors.dim('/help says what can be done, /quit leaves'));
    const failures = await talk({ speakers, sampling }, { input, stopStrings, terminal });
    return failures > 0 && !streams.stdin.isTTY ? 1 : 0;
  } finally {
    for (const { conversation } of speakers) {
      conversation[Symbol.dispose]();
      conversation.generator[Symbol.dispose]();
    }
  }
}

/** Loads the models. Errors: those of `TextGenerator.load`. */
async function openSpeakers(flags: ChatFlags, terminal: Terminal): Promise<Speaker[]> {
  const { model, adapter, against, againstAdapter, chatTemplate } = flags;
  const device = deviceFlag(flags.device);
  const models = [{ model, adapter }, ...(against === undefined ? [] : [{ model: against, adapter: againstAdapter }])];
  const { Conversation, loadGenerators } = await import('../generate/index.js');
  const hub = { onDownload: downloadStatus(terminal), onNote: (note: string) => terminal.note(note) };
  const generators = await loadGenerators(models, { ...hub, device, chatTemplate });
  terminal.endStatus();
  return generators.map((generator, i) => {
    const name = models[i]!.adapter ?? models[i]!.model;
    const isPlain = chatTemplate === 'none' || !generator.answersChats;
    if (isPlain && chatTemplate === undefined)
      terminal.note(
        `${name} has no chat template: it goes on with your lines as one text; --chat-template names a template (zephyr, alpaca, hh, ...)`,
      );
    return { name, conversation: new Conversation(generator, { isPlain }) };
  });
}

interface Talking {
  input: ChatInput;
  stopStrings: readonly string[];
  terminal: Terminal;
}

/**
 * Takes lines until there are no more. What is wrong with one is said, and the conversation goes on. Returns how many
 * were wrong.
 */
async function talk(chat: Chat, talking: Talking): Promise<number> {
  const { input, terminal } = talking;
  for (let failures = 0; ; ) {
    const line = await input.next();
    if (line === undefined) return failures;
    if (line.trim() === '') continue;
    try {
      if (line.startsWith('/')) {
        const said = await runCommand(chat, line);
        if (said === undefined) return failures;
        terminal.note(terminal.colors.dim(said));
      } else {
        await turn(line.trim(), chat, talking);
      }
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
      failures += 1;
      terminal.note(`${terminal.colors.red('error:')} ${error.told(flagOf)}`);
    }
  }
}

/** Has all models answer. All have the same turns: where one has not answered, the others take theirs back. */
async function turn(line: string, chat: Chat, talking: Talking): Promise<void> {
  const conversations = chat.speakers.map(({ conversation }) => conversation);
  const before = conversations[0]!.turns;
  try {
    for (const speaker of chat.speakers) await answer(speaker, line, chat, talking);
  } finally {
    const answered = conversations.filter(({ turns }) => turns > before);
    if (answered.length < conversations.length) {
      for (const conversation of answered) conversation.undo();
      talking.terminal.note(talking.terminal.colors.dim('this is no turn: the conversation is as it was before it'));
    }
  }
}

/** Streams the answer of one model; beside another one it is headed by its name. */
async function answer({ name, conversation }: Speaker, line: string, chat: Chat, talking: Talking): Promise<void> {
  const { input, stopStrings, terminal } = talking;
  const options = samplingOf(chat.sampling);
  const { colors, resultColors } = terminal;
  if (chat.speakers.length > 1) terminal.result(resultColors.bold(`${name}:`));
  const { finish, limit } = await input.stoppable((signal) =>
    conversation.ask(line, {
      ...options,
      stopStrings,
      signal,
      onText: (piece) => terminal.stream(piece),
      onNote: (note) => terminal.note(colors.dim(note)),
    }),
  );
  terminal.stream('\n');
  if (finish === 'stopped') terminal.note(colors.dim('stopped'));
  if (finish !== 'length') return;
  const where =
    limit < options.maxNewTokens
      ? `after ${number(limit)} tokens, since the model was made for no more with what was said`
      : `at --max-new-tokens ${limit}`;
  terminal.note(colors.dim(`cut ${where}`));
}
