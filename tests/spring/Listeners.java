import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;

import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;
import org.springframework.context.annotation.AnnotationConfigApplicationContext;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;
import org.springframework.kafka.annotation.EnableKafka;
import org.springframework.kafka.annotation.EnableKafkaRetryTopic;
import org.springframework.kafka.annotation.KafkaListener;
import org.springframework.kafka.annotation.RetryableTopic;
import org.springframework.kafka.config.ConcurrentKafkaListenerContainerFactory;
import org.springframework.kafka.core.ConsumerFactory;
import org.springframework.kafka.core.DefaultKafkaConsumerFactory;
import org.springframework.kafka.core.DefaultKafkaProducerFactory;
import org.springframework.kafka.core.KafkaAdmin;
import org.springframework.kafka.core.KafkaTemplate;
import org.springframework.kafka.listener.DeadLetterPublishingRecoverer;
import org.springframework.kafka.listener.DefaultErrorHandler;
import org.springframework.kafka.retrytopic.SameIntervalTopicReuseStrategy;
import org.springframework.kafka.retrytopic.TopicSuffixingStrategy;
import org.springframework.retry.annotation.Backoff;
import org.springframework.scheduling.TaskScheduler;
import org.springframework.scheduling.concurrent.ThreadPoolTaskScheduler;
import org.springframework.util.backoff.FixedBackOff;

/**
 * Two listeners as applications with Spring Kafka have them, for the proofs of the redrive protocol: one that tries
 * again by retry topics, one that tries again in place. Both dead-letter what fails for good. They say each attempt and
 * each success on a line of stdout.
 *
 * The file that the property `mode` names says how they behave, and is read anew for each record: `fail` (always),
 * `first` (all but the attempts in retry topics), anything else (never).
 */
@Configuration
@EnableKafka
@EnableKafkaRetryTopic
public class Listeners {
    public static class PaymentDeclined extends RuntimeException {
        PaymentDeclined(String what) {
            super(what);
        }
    }

    public static void main(String[] arguments) {
        new AnnotationConfigApplicationContext(Listeners.class);
    }

    @RetryableTopic(
            attempts = "3",
            backoff = @Backoff(delayExpression = "${delay}"),
            sameIntervalTopicReuseStrategy = SameIntervalTopicReuseStrategy.MULTIPLE_TOPICS,
            topicSuffixingStrategy = TopicSuffixingStrategy.SUFFIX_WITH_INDEX_VALUE,
            numPartitions = "1",
            replicationFactor = "1")
    @KafkaListener(topics = "${retried}", groupId = "${group}")
    void retried(ConsumerRecord<String, String> record) throws Exception {
        handle(record);
    }

    @KafkaListener(topics = "${blocking}", groupId = "${group}-blocking", containerFactory = "blocking")
    void blocking(ConsumerRecord<String, String> record) throws Exception {
        handle(record);
    }

    private static void handle(ConsumerRecord<String, String> record) throws Exception {
        say("attempt " + record.topic() + " " + record.value());
        String mode = Files.readString(Path.of(System.getProperty("mode"))).trim();
        if (mode.equals("fail") || (mode.equals("first") && !record.topic().contains("-retry-"))) {
            throw new PaymentDeclined("declined: " + record.value());
        }
        say("done " + record.topic() + " " + record.value());
    }

    private static synchronized void say(String line) {
        System.out.println(line);
        System.out.flush();
    }

    @Bean
    KafkaAdmin admin() {
        return new KafkaAdmin(Map.of("bootstrap.servers", System.getProperty("brokers")));
    }

    @Bean
    KafkaTemplate<String, String> defaultRetryTopicKafkaTemplate() {
        return new KafkaTemplate<>(new DefaultKafkaProducerFactory<>(Map.of(
                "bootstrap.servers", System.getProperty("brokers"),
                "key.serializer", StringSerializer.class,
                "value.serializer", StringSerializer.class)));
    }

    @Bean
    ConsumerFactory<String, String> consumers() {
        return new DefaultKafkaConsumerFactory<>(Map.of(
                "bootstrap.servers", System.getProperty("brokers"),
                "key.deserializer", StringDeserializer.class,
                "value.deserializer", StringDeserializer.class,
                "auto.offset.reset", "earliest",
                "isolation.level", "read_committed"));
    }

    @Bean
    ConcurrentKafkaListenerContainerFactory<String, String> kafkaListenerContainerFactory() {
        var factory = new ConcurrentKafkaListenerContainerFactory<String, String>();
        factory.setConsumerFactory(consumers());
        return factory;
    }

    @Bean
    ConcurrentKafkaListenerContainerFactory<String, String> blocking() {
        var factory = new ConcurrentKafkaListenerContainerFactory<String, String>();
        factory.setConsumerFactory(consumers());
        factory.getContainerProperties().setDeliveryAttemptHeader(true);
        var recoverer = new DeadLetterPublishingRecoverer(defaultRetryTopicKafkaTemplate());
        factory.setCommonErrorHandler(new DefaultErrorHandler(recoverer, new FixedBackOff(100, 2)));
        return factory;
    }

    @Bean
    TaskScheduler scheduler() {
        return new ThreadPoolTaskScheduler();
    }
}
