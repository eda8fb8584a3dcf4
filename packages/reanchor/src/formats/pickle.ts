/** Weights in Python's own format, which are refused. */

/** Whether a file is a Python pickle by its name. */
export const isPickle = (file: string) => /\.(bin|pt|pth|ckpt|pkl|pickle)$/i.test(file);

/** Why such files are not read, and what to do, to follow "... holds". */
export const pickleRefusal =
  'Python pickles, which are not read: loading one runs whatever code its maker has put in. Convert it to safetensors, where you trust it: ' +
  "python -c \"from transformers import AutoModelForCausalLM as M; M.from_pretrained('FOLDER').save_pretrained('NEW')\"";
