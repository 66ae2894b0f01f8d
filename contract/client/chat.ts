// A chat as the v1 guide's hook keeps it: events of the socket become messages.

export interface ChatMessage {
  id: string;
  role: string;
  content: string;
  streaming: boolean;
  citations?: { document_id: string; quote: string; index: number }[];
}

export class Chat {
  sessionId: string | null = null;
  messages: ChatMessage[] = [];
  errors: string[] = [];
  private socket: WebSocket;
  private waiting: { until: () => boolean; resolve: () => void; reject: (err: Error) => void }[] = [];

  constructor(url: string, accessToken: string, mode: "quick_consult" | "case_workspace") {
    this.socket = new WebSocket(`${url}/api/realtime/ws?token=${accessToken}`);
    this.socket.onopen = () => this.send({ type: "session.start", session_id: undefined, mode });
    this.socket.onmessage = (event) => {
      this.take(JSON.parse(String(event.data)));
      this.settle();
    };
    this.socket.onclose = () => {
      for (const w of this.waiting.splice(0)) w.reject(new Error("the socket was closed"));
    };
  }

  send(event: object) {
    this.socket.send(JSON.stringify(event));
  }

  ask(content: string) {
    this.send({ type: "message.send", session_id: this.sessionId, content });
  }

  // until resolves once a condition holds after an event.
  until(condition: () => boolean): Promise<void> {
    return new Promise((resolve, reject) => {
      this.waiting.push({ until: condition, resolve, reject });
      this.settle();
    });
  }

  close() {
    this.socket.close();
  }

  private settle() {
    this.waiting = this.waiting.filter((w) => {
      if (!w.until()) return true;
      w.resolve();
      return false;
    });
  }

  private take(event: any) {
    const current = this.messages.find((m) => m.id === event.message_id);
    switch (event.type) {
      case "session.started":
        this.sessionId = event.session_id;
        break;
      case "message.delta":
        if (current) current.content += event.content_delta;
        else this.messages.push({ id: event.message_id, role: event.role, content: event.content_delta, streaming: true });
        break;
      case "message.complete":
        if (current) current.streaming = false;
        break;
      case "citation.list":
        if (current) current.citations = event.citations;
        break;
      case "error":
        this.errors.push(event.message);
    }
  }
}
