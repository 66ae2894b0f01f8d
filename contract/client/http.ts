// A small HTTP client in the manner of the one that the v1 guide builds upon:
// a base URL, interceptors of requests and of replies, and replies that are
// rejected unless their status is one of success.

import { request as send } from "node:http";

export interface Config {
  method: string;
  url: string;
  params?: Record<string, string | number | undefined>;
  headers: Record<string, string>;
  data?: unknown;
  onUploadProgress?: (progress: { loaded: number; total: number }) => void;
  retried?: boolean;
}

export interface Reply<T> {
  status: number;
  headers: Record<string, string | string[] | undefined>;
  data: T;
  config: Config;
}

export class RequestFailed extends Error {
  constructor(
    readonly config: Config,
    readonly response: Reply<any>,
  ) {
    super(`${config.method} ${config.url}: ${response.status} ${JSON.stringify(response.data)}`);
  }
}

type OnRequest = (config: Config) => Config;
type OnFailure = (failure: RequestFailed) => Promise<Reply<any>>;

export class HttpClient {
  private onRequest: OnRequest[] = [];
  private onFailure: OnFailure[] = [];

  constructor(private readonly baseURL: string) {}

  interceptRequests(f: OnRequest) {
    this.onRequest.push(f);
  }

  interceptFailures(f: OnFailure) {
    this.onFailure.push(f);
  }

  get<T>(url: string, options: Partial<Config> = {}) {
    return this.request<T>({ method: "GET", url, headers: {}, ...options });
  }

  post<T>(url: string, data?: unknown, options: Partial<Config> = {}) {
    return this.request<T>({ method: "POST", url, data, headers: {}, ...options });
  }

  delete<T>(url: string) {
    return this.request<T>({ method: "DELETE", url, headers: {} });
  }

  async request<T>(config: Config): Promise<Reply<T>> {
    for (const f of this.onRequest) config = f(config);
    const response = await this.exchange<T>(config);
    if (response.status < 300) return response;
    let failure = Promise.reject(new RequestFailed(config, response)) as Promise<Reply<T>>;
    for (const f of this.onFailure) failure = failure.catch(f);
    return failure;
  }

  private async exchange<T>(config: Config): Promise<Reply<T>> {
    const url = new URL(this.baseURL + config.url);
    for (const [name, value] of Object.entries(config.params ?? {})) {
      if (value !== undefined) url.searchParams.set(name, String(value));
    }
    const { body, contentType } = await encode(config.data);
    const headers: Record<string, string> = { ...config.headers, "Content-Length": String(body.length) };
    if (contentType) headers["Content-Type"] = contentType;
    return new Promise((resolve, reject) => {
      const outgoing = send(url, { method: config.method, headers }, (incoming) => {
        const chunks: Buffer[] = [];
        incoming.on("data", (chunk) => chunks.push(chunk));
        incoming.on("error", reject);
        incoming.on("end", () => {
          const text = Buffer.concat(chunks).toString();
          const isJSON = (incoming.headers["content-type"] ?? "").startsWith("application/json");
          resolve({
            status: incoming.statusCode ?? 0,
            headers: incoming.headers,
            data: (isJSON ? JSON.parse(text) : text) as T,
            config,
          });
        });
      });
      outgoing.on("error", reject);
      transmit(outgoing, body, config.onUploadProgress).then(() => outgoing.end(), reject);
    });
  }
}

// encode makes a body and its type of a form or of anything that is JSON.
async function encode(data: unknown): Promise<{ body: Buffer; contentType?: string }> {
  if (data === undefined) return { body: Buffer.alloc(0) };
  if (data instanceof FormData) {
    const form = new Response(data);
    return { body: Buffer.from(await form.arrayBuffer()), contentType: form.headers.get("content-type")! };
  }
  return { body: Buffer.from(JSON.stringify(data)), contentType: "application/json" };
}

// transmit writes a body piece by piece and tells how much of it has gone.
async function transmit(
  outgoing: ReturnType<typeof send>,
  body: Buffer,
  progress?: (p: { loaded: number; total: number }) => void,
) {
  const piece = 64 * 1024;
  for (let loaded = 0; loaded < body.length; ) {
    const next = body.subarray(loaded, loaded + piece);
    await new Promise<void>((resolve, reject) => outgoing.write(next, (err) => (err ? reject(err) : resolve())));
    loaded += next.length;
    progress?.({ loaded, total: body.length });
  }
}
