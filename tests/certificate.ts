// The certificate of "localhost" and its key, for tests that speak TLS; made for them, and good for nothing else.
// The files themselves: testdata/. Reading them needs --allow-read: say so by `needs` of needs.ts.

/** The certificate, which stands for itself as the authority too, and its key, both as PEM. */
export async function certificate(): Promise<{ cert: string; key: string }> {
  const pem = (end: string) => Deno.readTextFile(new URL(`testdata/localhost.${end}`, import.meta.url));
  return { cert: await pem("crt"), key: await pem("key") };
}
