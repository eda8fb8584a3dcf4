/** The name and the content of a message of an event stream. */
export function parsed(message: Uint8Array): [event: string, data: unknown] {
  const [, event, data] = /^event: (\w+)\ndata: (.*)\n\n$/s.exec(Buffer.from(message).toString())!;
  return [event!, JSON.parse(data!)];
}
