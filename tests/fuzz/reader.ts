// What a reader is, and what none may do.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { UserError } from '#reanchor/errors.js';

export interface Reader {
  /** What a refusal has to name one of. */
  names: readonly string[];
  /** Reads bytes; `folder` is for files. Throws what the reader throws. */
  read: (bytes: Buffer, folder: string) => Promise<unknown> | unknown;
  prepare?: () => Promise<void>;
  /** Its share of the inputs of a whole campaign. */
  share: number;
}

/** A reader of a file of one name. */
export function ofFile(
  name: string,
  share: number,
  read: (file: string, folder: string, bytes: Buffer) => Promise<unknown> | unknown,
): Reader {
  return {
    names: [name],
    share,
    read: (bytes, folder) => {
      const file = join(folder, name);
      writeFileSync(file, bytes);
      return read(file, folder, bytes);
    },
  };
}

/** Lets a refusal pass, so that another reader of the same file has its turn. */
export async function refusedOnly(read: () => Promise<unknown>): Promise<void> {
  await read().catch((error: unknown) => {
    if (!(error instanceof UserError)) throw error;
  });
}

/** The parts of an input that is a JSON object; none of any other. */
export function parsedParts(bytes: Buffer): Readonly<Record<string, unknown>> {
  try {
    const parts: unknown = JSON.parse(bytes.toString());
    return typeof parts === 'object' && parts !== null ? (parts as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}

/**
 * Reads one input. Gives undefined where the reader took it, or why it refused it; whatever is neither is thrown, and
 * so is a refusal that does not say where.
 */
export async function readOne(reader: Reader, bytes: Buffer, folder: string): Promise<string | undefined> {
  try {
    await reader.read(bytes, folder);
    // What the reader left behind fails now, if it does.
    await setImmediate();
    return undefined;
  } catch (error) {
    await setImmediate();
    if (!(error instanceof UserError)) throw error;
    const { message } = error;
    if (message.length > 10_000) throw new Error(`a message of ${message.length} characters: ${message.slice(0, 200)}`);
    if (!reader.names.some((name) => message.includes(name)))
      throw new Error(`a message that does not say where: ${message.slice(0, 300)}`);
    return message;
  }
}
