/** The messages of a `text/event-stream`, from its text in pieces of any length. */
export class MessageReader {
  #text = '';

  /** The messages that are whole now. */
  read(piece: string): { event: string; data: string }[] {
    const blocks = (this.#text + piece).split('\n\n');
    this.#text = blocks.pop()!;
    return blocks.map((block) => {
      const lines = block.split('\n');
      const values = (name: string) =>
        lines.filter((line) => line.startsWith(`${name}: `)).map((line) => line.slice(name.length + 2));
      return { event: values('event')[0] ?? 'message', data: values('data').join('\n') };
    });
  }
}
