// What a v1 client calls: accounts with a refresh on 401, the knowledge base as
// an administrator sees it, and uploads that tell how far they are.

import { HttpClient, type Config } from "./http";

export interface Tokens {
  accessToken: string;
  refreshToken: string;
  tokenType: string;
  expiresIn: number;
}

interface SignIn {
  user: { id: string; email: string; role: string };
  access_token: string;
  refresh_token: string;
  token_type: string;
  expires_in: number;
}

function signedIn(reply: SignIn) {
  return { user: reply.user, tokens: tokensOf(reply) };
}

function tokensOf(reply: SignIn): Tokens {
  return {
    accessToken: reply.access_token,
    refreshToken: reply.refresh_token,
    tokenType: reply.token_type,
    expiresIn: reply.expires_in,
  };
}

// Api is one signed-in (or not yet signed-in) application.
export class Api {
  readonly http: HttpClient;
  tokens: Tokens | null = null;
  refreshes = 0;

  constructor(baseURL: string) {
    this.http = new HttpClient(baseURL);
    this.http.interceptRequests((config) => this.authorize(config));
    this.http.interceptFailures(async (failure) => {
      if (failure.response.status !== 401 || failure.config.retried || !this.tokens) throw failure;
      this.tokens = await this.refresh(this.tokens.refreshToken);
      this.refreshes++;
      return this.http.request({ ...failure.config, retried: true });
    });
  }

  private authorize(config: Config): Config {
    if (!this.tokens) return config;
    return { ...config, headers: { ...config.headers, Authorization: `Bearer ${this.tokens.accessToken}` } };
  }

  async register(person: { email: string; password: string; firstName: string; lastName: string; specialty?: string }) {
    const reply = await this.http.post<SignIn>("/api/auth/register", {
      email: person.email,
      password: person.password,
      first_name: person.firstName,
      last_name: person.lastName,
      specialty: person.specialty,
    });
    return signedIn(reply.data);
  }

  async login(credentials: { email: string; password: string }) {
    const result = signedIn((await this.http.post<SignIn>("/api/auth/login", credentials)).data);
    this.tokens = result.tokens;
    return result;
  }

  // A refresh is sent by itself: a 401 to it must not lead to another.
  async refresh(refreshToken: string): Promise<Tokens> {
    const reply = await this.http.post<SignIn>("/api/auth/refresh", { refresh_token: refreshToken }, { retried: true });
    return tokensOf(reply.data);
  }

  async logout() {
    await this.http.post("/api/auth/logout", { refresh_token: this.tokens!.refreshToken });
  }

  async me() {
    return (await this.http.get<{ id: string; email: string; firstName: string }>("/api/auth/me")).data;
  }

  async uploadFile(file: File, progress: (percent: number) => void) {
    const form = new FormData();
    form.append("file", file);
    const reply = await this.http.post<{ id: string; url: string }>("/api/files/upload", form, {
      onUploadProgress: (p) => progress(Math.round((p.loaded * 100) / (p.total || 1))),
    });
    return reply.data;
  }

  async listDocuments(params: { skip?: number; limit?: number; status?: string; source_type?: string } = {}) {
    return (await this.http.get<{ id: string; title: string; status: string }[]>("/api/admin/kb/documents", { params })).data;
  }

  async uploadDocument(file: File, metadata: { source_type: string; specialty: string; title?: string }) {
    const form = new FormData();
    form.append("file", file);
    form.append("source_type", metadata.source_type);
    form.append("specialty", metadata.specialty);
    if (metadata.title) form.append("title", metadata.title);
    return (await this.http.post<{ document_id: string; filename: string }>("/api/admin/kb/upload", form)).data;
  }

  async deleteDocument(id: string) {
    await this.http.delete(`/api/admin/kb/${id}`);
  }

  async reindex(documentIds: string[]) {
    return (await this.http.post<{ job_id: string }>("/api/admin/kb/reindex", { document_ids: documentIds })).data;
  }

  async jobs(limit?: number) {
    return (await this.http.get<{ id: string; document_id: string; state: string }[]>("/api/admin/kb/jobs", { params: { limit } })).data;
  }

  async stats() {
    const reply = await this.http.get<{ total_documents: number; total_chunks: number; vector_count: number }>("/api/admin/kb/stats");
    return reply.data;
  }
}
