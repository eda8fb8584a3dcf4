/** Folders and programs that look like libtorch, Python and a compiler, for the tests of set-up. */
import { chmodSync, mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { addonFile } from '../build.js';
import { locateForLoad } from '../locate.js';

export const scratch = (): string => mkdtempSync(join(tmpdir(), 'reanchor-setup-'));

export function file(path: string, text = ''): string {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
  return path;
}

/** A folder with the files by which libtorch is recognised. */
export function fakeLibtorch(folder: string, version = '2.13.0', local = ''): string {
  const [major, minor, patch] = version.split('.');
  file(
    join(folder, 'include/torch/headeronly/version.h'),
    `#define TORCH_VERSION_MAJOR ${major}\n#define TORCH_VERSION_MINOR ${minor}\n#define TORCH_VERSION_PATCH ${patch}\n`,
  );
  file(join(folder, 'lib/libtorch_cpu.so'), 'fake');
  if (local) file(join(folder, 'version.py'), `__version__ = '${version}${local}'\n`);
  return folder;
}

/** A program: a shell script at `path`. */
export function fakeProgram(path: string, script: string): string {
  file(path, `#!/bin/sh\n${script}\n`);
  chmodSync(path, 0o755);
  return path;
}

/**
 * A python3 in `bin` that has torch in `torch` (none if empty) and whose `-m pip` runs the shell lines `pip`. Each
 * start writes a line to `log`.
 */
export const fakePython = (bin: string, { torch = '', pip = 'exit 1', log = '/dev/null' } = {}): string =>
  fakeProgram(
    join(bin, 'python3'),
    `echo "$*" >> ${log}\n[ "$1" = -I ] && shift\nif [ "$1" = -m ]; then shift 2; if [ "$1" = --version ]; then echo "pip 25"; exit 0; fi\n${pip}\nfi\necho "${torch}"`,
  );

/** Shell lines for fakePython's pip that "install" what the real wheel holds, as far as set-up looks. */
export const PIP_INSTALLS = `
PATH=/usr/bin:/bin
while [ "$1" != --target ]; do shift; done
mkdir -p "$2/torch/lib/libshm" "$2/torch/include/torch/headeronly" "$2/torchgen"
touch "$2/torch/lib/libtorch_python.so" "$2/torch/lib/libshm/x" "$2/torch/nn.py"
echo fake > "$2/torch/lib/libtorch_cpu.so"
printf '#define TORCH_VERSION_MAJOR 2\\n#define TORCH_VERSION_MINOR 13\\n#define TORCH_VERSION_PATCH 0\\n' > "$2/torch/include/torch/headeronly/version.h"
echo "__version__ = '2.13.0+cpu'" > "$2/torch/version.py"
sleep 0.3
exit 0`;

const realAddon = addonFile(locateForLoad());

/**
 * A compiler that puts the addon of this machine, which can be loaded, or another file where -o says. Its arguments
 * become a line of `log`; the shell lines `first` run before.
 */
export const fakeCompiler = (bin: string, result = realAddon, log = '/dev/null', first = ''): string =>
  fakeProgram(
    join(bin, 'c++'),
    `echo "$*" >> ${log}\n${first}\nwhile [ "$1" != -o ]; do shift; done\n/bin/cp '${result}' "$2"`,
  );
