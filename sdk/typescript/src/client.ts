/** The state behind `init`: options, losses and the transport of this program. */
import { currentFields, type ContextFields } from "./context.js";
import { finished, InvalidEventError, type Event, type EventFields } from "./events.js";
import { Losses } from "./losses.js";
import type { Options } from "./options.js";
import type { Platform } from "./platform.js";
import { DEFAULT_BACKOFF, type Backoff } from "./transport/backoff.js";
import { Transport } from "./transport/transport.js";

/** Records events. Nothing that its methods do throws but for `eventOf`. */
export class Client {
  readonly losses: Losses;
  readonly #transport: Transport;
  readonly #defaults: EventFields;
  readonly #forget: () => void;

  constructor(
    readonly options: Options,
    platform: Platform,
    backoff: Backoff = DEFAULT_BACKOFF,
  ) {
    this.losses = new Losses(options.onError);
    this.#transport = new Transport(options, this.losses, platform, backoff);
    this.#defaults = {
      environment: options.environment || null,
      service_name: options.serviceName || null,
    };
    this.#forget = options.isEnabled
      ? platform.atEnd({
          settle: () => this.#transport.settle(),
          rescue: () => this.#transport.rescueNow(),
        })
      : () => undefined;
  }

  /** Take an event along; its values win over the context's, by default the current one. */
  record(values: EventFields, fields: ContextFields = currentFields()): void {
    this.recordLayers([values], fields);
  }

  /** `record` of values in layers, of which the first ones win. */
  recordLayers(layers: readonly EventFields[], fields: ContextFields): void {
    if (!this.options.isEnabled) return;
    try {
      this.#transport.put(this.eventOf([...layers, fields]));
    } catch (error) {
      if (error instanceof InvalidEventError) this.losses.count("invalid", error.message);
      else this.losses.fail(error);
    }
  }

  /**
   * The whole event.
   *
   * @throws InvalidEventError they are no event.
   */
  eventOf(layers: readonly EventFields[]): Event {
    const event = finished(...layers, this.#defaults);
    if (!this.options.captureContent) {
      delete event.input_messages;
      delete event.output_messages;
    }
    return event;
  }

  /** Whether everything was delivered within the time. */
  flush(timeoutSeconds?: number): Promise<boolean> {
    return this.#transport.flush(timeoutSeconds);
  }

  /** Send or store what waits; later events are lost, and counted. */
  async shutdown(timeoutSeconds?: number): Promise<void> {
    try {
      await this.#transport.shutdown(timeoutSeconds);
    } catch (error) {
      this.losses.fail(error);
    }
    this.#forget();
  }
}
