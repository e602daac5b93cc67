# Sidekiq for the benchmark; bench/src/peer/mod.rs says what each verb means.
# frozen_string_literal: true

require "hiredis"
require "json"
require "securerandom"
require "sidekiq"

PROCESSES = 2
CONCURRENCY = 5
BULK = 1_000
CALLERS = 100
IDLE = 0.002
LOOK = 0.005
REPORT = "bench:begun"
DATA = "x" * 100

def connection(size) = { url: ENV.fetch("REDIS_URL"), driver: :hiredis, size: }

Sidekiq.logger.level = Logger::WARN
# This Sidekiq is older than its Redis client, which would say so at every push.
Redis.sadd_returns_boolean = false
Redis.silence_deprecations = true
Sidekiq.configure_client { |config| config.redis = connection(CALLERS) }
Sidekiq.configure_server { |config| config.redis = connection(CONCURRENCY + 5) }

# What the handler does is told by the environment of the worker's process.
class Job
  include Sidekiq::Job

  ROLE, SET = ENV.fetch("BENCH_ROLE", "nothing").split

  def perform(_id, _data)
    case ROLE
    when "report" then Sidekiq.redis { |redis| redis.rpush(REPORT, now) }
    when "hold"
      Sidekiq.redis { |redis| redis.sadd(SET, jid) }
      sleep
    end
  end
end

def now = Process.clock_gettime(Process::CLOCK_REALTIME, :float_millisecond)

def seconds
  began = Process.clock_gettime(Process::CLOCK_MONOTONIC)
  yield
  { seconds: Process.clock_gettime(Process::CLOCK_MONOTONIC) - began }
end

def arguments = [SecureRandom.uuid, DATA]

def push_bulk(count)
  jobs = Array.new(count) { arguments }
  seconds { jobs.each_slice(BULK) { |slice| Sidekiq::Client.push_bulk("class" => Job, "args" => slice) } }
end

def push_single(count)
  seconds do
    Array.new(CALLERS) { Thread.new { (count / CALLERS).times { Job.perform_async(*arguments) } } }.each(&:join)
  end
end

def start_workers(processes, role)
  command = ["sidekiq", "--require", File.expand_path(__FILE__), "--concurrency", CONCURRENCY.to_s]
  Array.new(processes) { spawn({ "BENCH_ROLE" => role }, *command, out: :err) }
end

def waiting = Sidekiq.redis { |redis| redis.llen("queue:default") }

def work(count)
  start_workers(PROCESSES, "nothing")
  sleep 0.001 while waiting == count
  seconds { sleep LOOK while waiting.positive? }
end

def pickup(count)
  start_workers(PROCESSES, "report")
  # The first job waits for the workers to start.
  samples = Array.new(count + 1) do
    sleep IDLE
    pushed = now
    Job.perform_async(*arguments)
    Sidekiq.redis { |redis| redis.blpop(REPORT, timeout: 0) }.last.to_f - pushed
  end
  { ms: samples.drop(1) }
end

def hold(set)
  Process.wait(start_workers(1, "hold #{set}").first)
end

def about
  settings = "#{PROCESSES} processes of #{CONCURRENCY} threads, hiredis, push_bulk of #{BULK}, BRPOP without acknowledgement"
  { config: "#{Sidekiq::VERSION}, Ruby #{RUBY_VERSION}, #{settings}" }
end

def answer(verb, count = nil, set = nil)
  case verb
  when "about" then about
  when "push-bulk" then push_bulk(count.to_i)
  when "push-single" then push_single(count.to_i)
  when "work" then work(count.to_i)
  when "pickup" then pickup(count.to_i)
  when "hold" then hold(set)
  end
end

puts JSON.generate(answer(*ARGV)) if $PROGRAM_NAME == __FILE__
