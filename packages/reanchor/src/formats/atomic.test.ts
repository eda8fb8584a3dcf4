import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { UserError } from '../errors.js';
import { writeError, writeFileAtomic, writeFolderAtomic, writeFully } from './atomic.js';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'atomic-'));
});
afterEach(() => rmSync(folder, { recursive: true }));
const at = (...names: string[]) => join(folder, ...names);

describe('a file', () => {
  test('has the text, the bytes, or what a function writes', async () => {
    await writeFileAtomic(at('text'), 'ü\n');
    await writeFileAtomic(at('bytes'), Uint8Array.of(1, 2));
    await writeFileAtomic(at('parts'), async (handle) => {
      for (const part of ['a', 'b']) await writeFully(handle, Buffer.from(part));
    });
    expect(readFileSync(at('text'), 'utf8')).toBe('ü\n');
    expect([...readFileSync(at('bytes'))]).toEqual([1, 2]);
    expect(readFileSync(at('parts'), 'utf8')).toBe('ab');
    expect(readdirSync(folder).length).toBe(3);
  });

  test('that fails leaves the old one and nothing else', async () => {
    writeFileSync(at('file'), 'old');
    const fails = writeFileAtomic(at('file'), async (handle) => {
      await writeFully(handle, Buffer.from('new'));
      throw new Error('stop');
    });
    await expect(fails).rejects.toThrow('stop');
    expect(readFileSync(at('file'), 'utf8')).toBe('old');
    expect(readdirSync(folder)).toEqual(['file']);
  });

  test('keeps its mode, and stays the goal of a link', async () => {
    writeFileSync(at('file'), 'old');
    chmodSync(at('file'), 0o600);
    symlinkSync(at('file'), at('link'));
    await writeFileAtomic(at('link'), 'new');
    expect(readFileSync(at('file'), 'utf8')).toBe('new');
    expect(statSync(at('file')).mode & 0o777).toBe(0o600);
    expect(readdirSync(folder).sort()).toEqual(['file', 'link']);
  });

  test('that is a device is written to, not replaced', async () => {
    await writeFileAtomic('/dev/null', 'x');
    expect(statSync('/dev/null').isCharacterDevice()).toBe(true);
  });

  test.each([
    [
      'in a missing folder',
      ['none', 'file'],
      /none\/file cannot be written: the folder .*none does not exist \(ENOENT\): make it/,
    ],
    ['below a file', ['file', 'x'], /is a file, not a folder \(ENOTDIR\): write to another folder/],
    ['that is a folder', ['sub'], /sub is a folder: name a file/],
    ['with too long a name', ['x'.repeat(300)], /the name is too long \(ENAMETOOLONG\)/],
  ])('%s is an error that says what to do', async (_name, names, message) => {
    mkdirSync(at('sub'));
    writeFileSync(at('file'), '');
    const error = await writeFileAtomic(at(...names), 'x').catch((error: unknown) => error);
    expect(error).toBeInstanceOf(UserError);
    expect((error as Error).message).toMatch(message);
  });

  test.skipIf(!existsSync('/dev/full'))('on a full disk is an error that says so', async () => {
    await expect(writeFileAtomic('/dev/full', 'x'.repeat(100))).rejects.toThrow(
      '/dev/full cannot be written: the disk is full (ENOSPC): free some space, or write to another disk',
    );
  });
});

describe('a folder', () => {
  test('appears whole, with what its function returns', async () => {
    const result = await writeFolderAtomic(at('made'), async (temporary) => {
      mkdirSync(join(temporary, 'sub'));
      writeFileSync(join(temporary, 'sub', 'file'), 'x');
      expect(existsSync(at('made'))).toBe(false);
      return 7;
    });
    expect(result).toBe(7);
    expect(readFileSync(at('made', 'sub', 'file'), 'utf8')).toBe('x');
    expect(readdirSync(folder)).toEqual(['made']);
  });

  test('may take the place of an empty one', async () => {
    mkdirSync(at('made'));
    await writeFolderAtomic(`${at('made')}/`, async (temporary) => writeFileSync(join(temporary, 'file'), 'x'));
    expect(readdirSync(folder)).toEqual(['made']);
    expect(readdirSync(at('made'))).toEqual(['file']);
  });

  test('that fails leaves nothing', async () => {
    const fails = writeFolderAtomic(at('made'), async (temporary) => {
      writeFileSync(join(temporary, 'file'), 'x');
      throw new Error('stop');
    });
    await expect(fails).rejects.toThrow('stop');
    expect(readdirSync(folder)).toEqual([]);
  });

  test('that fails names the folder that was asked for, not the temporary one', async () => {
    const fails = writeFolderAtomic(at('made'), (temporary) => writeFileAtomic(join(temporary, 'none', 'file'), 'x'));
    const error = (await fails.catch((error: unknown) => error)) as Error;
    expect(error).toBeInstanceOf(UserError);
    expect(error.message).toBe(
      `${at('made/none/file')} cannot be written: the folder ${at('made/none')} does not exist (ENOENT): ` +
        'make it (mkdir -p), or write to another folder',
    );
  });

  test('is never written over another, and what is there is found before the work', async () => {
    mkdirSync(at('full'));
    writeFileSync(at('full', 'file'), 'x');
    const work = async () => expect.unreachable();
    await expect(writeFolderAtomic(at('full'), work)).rejects.toThrow(
      /full exists and is not empty: name a new folder/,
    );
    await expect(writeFolderAtomic(at('full', 'file'), work)).rejects.toThrow(/is a file: name a new folder/);
    await expect(writeFolderAtomic(at('none', 'made'), work)).rejects.toThrow(
      /none does not exist \(ENOENT\): make it/,
    );
  });
});

test('every failure of the system is told with its code, the path and what to do; other errors stay as they are', () => {
  for (const code of ['ENOSPC', 'EDQUOT', 'EFBIG', 'EACCES', 'EPERM', 'EROFS', 'EMFILE', 'EIO']) {
    const failure = Object.assign(new Error(`${code}: words of the system`), { code, syscall: 'write' });
    const error = writeError('/out/file', failure) as Error;
    expect(error).toBeInstanceOf(UserError);
    expect(error.message).toMatch(new RegExp(`^/out/file cannot be written: .*${code}`));
    expect(error.cause).toBe(failure);
  }
  for (const error of [new Error('x'), new UserError('y'), 'z']) expect(writeError('/out', error)).toBe(error);
});
