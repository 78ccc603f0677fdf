import com.fasterxml.jackson.annotation.JsonIgnoreProperties;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.ObjectReader;
import com.fasterxml.jackson.databind.ObjectWriter;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.CountDownLatch;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.errors.StreamsUncaughtExceptionHandler.StreamThreadExceptionResponse;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.state.KeyValueStore;

/**
 * The job (bench/peers/job.py) on Kafka Streams.
 *
 * <p>usage: JourneysJob BOOTSTRAP SOURCE OUTPUT NAME FOLDER at_least_once|exactly_once_v2 THREADS
 */
public final class JourneysJob {
  private static final List<String> STEPS =
      List.of(
          "Page Viewed",
          "Content Downloaded",
          "Webinar Attended",
          "Lead Form Submitted",
          "Meeting Held",
          "Opportunity Created",
          "Closed Won");

  /** Results are shown at commits; job.py's VISIBLE_S. */
  private static final int COMMIT_MS = 1_000;

  /** Holds the states of all accounts: an account that changes again before a commit is written once. */
  private static final long CACHE_BYTES = 256L << 20;

  private static final int BATCH_BYTES = 256 << 10;

  private static final ObjectMapper JSON = new ObjectMapper();
  private static final ObjectReader EVENT = JSON.readerFor(Event.class);
  private static final ObjectReader STATE = JSON.readerFor(State.class);
  private static final ObjectWriter WRITER = JSON.writerFor(State.class);

  /** What the job reads of an event. */
  @JsonIgnoreProperties(ignoreUnknown = true)
  public static final class Event {
    public String type;
  }

  /** An account's. */
  public static final class State {
    public int count;
    public int step;
    public String last;
    public Map<String, Integer> transitions = new HashMap<>();

    void advance(String type) {
      if (last != null) {
        transitions.merge(last + ">" + type, 1, Integer::sum);
      }
      if (step < STEPS.size() && type.equals(STEPS.get(step))) {
        step++;
      }
      count++;
      last = type;
    }
  }

  private static byte[] behind(byte[] stored, byte[] event) {
    try {
      State state = stored == null ? new State() : STATE.readValue(stored);
      state.advance(EVENT.<Event>readValue(event).type);
      return WRITER.writeValueAsBytes(state);
    } catch (IOException error) {
      throw new UncheckedIOException(error);
    }
  }

  private static Topology journeys(String source, String output) {
    StreamsBuilder builder = new StreamsBuilder();
    builder.stream(source, Consumed.with(Serdes.Bytes(), Serdes.ByteArray()))
        .groupByKey()
        .aggregate(
            () -> null,
            (account, event, stored) -> behind(stored, event),
            Materialized.<Bytes, byte[], KeyValueStore<Bytes, byte[]>>as("states")
                .withKeySerde(Serdes.Bytes())
                .withValueSerde(Serdes.ByteArray()))
        .toStream()
        .to(output, Produced.with(Serdes.Bytes(), Serdes.ByteArray()));
    return builder.build();
  }

  private static Properties configuration(String[] arguments) {
    Properties all = new Properties();
    all.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, arguments[0]);
    all.put(StreamsConfig.APPLICATION_ID_CONFIG, arguments[3]);
    all.put(StreamsConfig.STATE_DIR_CONFIG, arguments[4]);
    all.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, arguments[5]);
    all.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, arguments[6]);
    all.put(StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, COMMIT_MS);
    all.put(StreamsConfig.STATESTORE_CACHE_MAX_BYTES_CONFIG, CACHE_BYTES);
    all.put(StreamsConfig.REPLICATION_FACTOR_CONFIG, 1);
    all.put(StreamsConfig.consumerPrefix(ConsumerConfig.AUTO_OFFSET_RESET_CONFIG), "earliest");
    all.put(StreamsConfig.producerPrefix(ProducerConfig.BATCH_SIZE_CONFIG), BATCH_BYTES);
    all.put(StreamsConfig.producerPrefix(ProducerConfig.COMPRESSION_TYPE_CONFIG), "lz4");
    return all;
  }

  public static void main(String[] arguments) throws InterruptedException {
    KafkaStreams streams =
        new KafkaStreams(journeys(arguments[1], arguments[2]), configuration(arguments));
    streams.setUncaughtExceptionHandler(
        error -> {
          error.printStackTrace();
          return StreamThreadExceptionResponse.SHUTDOWN_CLIENT;
        });
    CountDownLatch ended = new CountDownLatch(1);
    streams.setStateListener(
        (now, before) -> {
          if (now == KafkaStreams.State.ERROR) {
            ended.countDown();
          }
        });
    Runtime.getRuntime().addShutdownHook(new Thread(streams::close));
    streams.start();
    ended.await();
    System.exit(1);
  }
}
