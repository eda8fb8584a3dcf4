/** What can be done in a chat besides talking: lines that begin with a slash. */
import { existsSync } from 'node:fs';
import { UserError } from '../errors.js';
import { writeJsonl } from '../formats/index.js';
import type { Conversation } from '../generate/index.js';
import { flagOf } from './failure.js';
import { countOf } from './progress.js';
import { type SamplingFlags, samplingOf } from './sampling.js';

/** A model that answers, and what was said to it. */
export interface Speaker {
  /** As the command line names it. */
  name: string;
  conversation: Conversation;
}

/** What a chat is made of. */
export interface Chat {
  speakers: readonly Speaker[];
  /** How tokens are drawn, which `/set` changes. */
  sampling: SamplingFlags;
}

interface ChatCommand {
  usage: string;
  help: string;
  /** Does it; returns what is to be said. Errors: UserError. */
  run(chat: Chat, argument: string): string | Promise<string>;
}

const names = ['maxNewTokens', 'temperature', 'topK', 'topP', 'seed'] as const satisfies (keyof SamplingFlags)[];
/** As the flag is, without its dashes. */
const settingOf = (name: string) => flagOf(name).slice(2);

const commands: Readonly<Record<string, ChatCommand>> = {
  reset: {
    usage: '/reset',
    help: 'begin anew; the system message stays',
    run({ speakers }) {
      for (const { conversation } of speakers) conversation.reset();
      return 'the conversation begins anew';
    },
  },
  undo: {
    usage: '/undo',
    help: 'take the last turn back, with its answer',
    run({ speakers }) {
      for (const { conversation } of speakers) conversation.undo();
      return `the last turn is taken back: ${countOf(speakers[0]!.conversation.turns, 'turn')} before the next`;
    },
  },
  system: {
    usage: '/system TEXT',
    help: 'put a system message first; without a text, take it away',
    run({ speakers }, text) {
      for (const { conversation } of speakers) conversation.setSystem(text);
      return text === '' ? 'there is no system message' : 'the system message is set';
    },
  },
  set: {
    usage: '/set NAME VALUE',
    help: `change one of ${names.map(settingOf).join(', ')}`,
    run({ sampling }, argument) {
      if (argument !== '') change(sampling, argument);
      return names.map((name) => `${settingOf(name)} ${sampling[name] ?? 'none'}`).join(', ');
    },
  },
  save: {
    usage: '/save FILE',
    help: 'write the conversation to a new JSONL file, as a row to train on',
    async run({ speakers }, file) {
      if (file === '') throw new UserError('name the file after /save: a new one, such as talk.jsonl');
      if (existsSync(file)) throw new UserError(`${file} is there already: name a new file`);
      if (speakers[0]!.conversation.turns === 0) throw new UserError('there is no turn yet that could be saved');
      const isOne = speakers.length === 1;
      await writeJsonl(
        file,
        speakers.map(({ name, conversation }) => ({ ...conversation.row, ...(!isOne && { model: name }) })),
      );
      return `wrote ${countOf(speakers.length, 'line')} to ${file}`;
    },
  },
  help: {
    usage: '/help',
    help: 'show this',
    run: () => Object.values(commands).map(helpLine).concat(helpLine(quit), otherHelp).join('\n'),
  },
};

const quit = { usage: '/quit', help: 'leave; Ctrl-D, or Ctrl-C at the prompt, does so too' };
const helpLine = ({ usage, help }: Pick<ChatCommand, 'usage' | 'help'>) => `${usage.padEnd(15)}  ${help}`;
const otherHelp = 'Ctrl-C stops an answer; a line that begins with a space is no command';

/**
 * Does what a line that begins with a slash says; returns what is to be said, undefined where the chat is to end.
 * Errors: UserError.
 */
export async function runCommand(chat: Chat, line: string): Promise<string | undefined> {
  const [, name, argument] = /^\/(\S*)\s*(.*)$/s.exec(line)!;
  if (name === 'quit') return undefined;
  const command = Object.hasOwn(commands, name!) ? commands[name!] : undefined;
  if (!command) throw new UserError(`there is no /${name}; /help shows what there is`);
  return await command.run(chat, argument!.trim());
}

/** Changes how tokens are drawn, or not at all where the value is not allowed. Errors: UserError. */
function change(sampling: SamplingFlags, argument: string): void {
  const [given, value, ...more] = argument.split(/\s+/);
  const name = names.find((one) => settingOf(one) === given);
  if (name === undefined || value === undefined || more.length > 0)
    throw new UserError(`/set takes one of ${names.map(settingOf).join(', ')} and its value`);
  const changed = { ...sampling, [name]: value === 'none' ? undefined : value };
  if (changed[name] === undefined && name !== 'topK' && name !== 'topP')
    throw new UserError(`${given} needs a value: only top-k and top-p can be none (off)`);
  samplingOf(changed);
  Object.assign(sampling, changed);
}
