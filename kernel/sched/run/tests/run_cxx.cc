// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* What C++ makes of threads: exceptions, futures, atomics that wait, destructors of thread_local. */
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <future>
#include <mutex>
#include <numeric>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "same.h"

static std::atomic<int> gone;

struct local {
	int value = 0;
	~local() { gone += value; }
};

static thread_local local mine;

static int threads()
{
	std::vector<std::thread> all;
	std::mutex mutex;
	long sum = 0;

	for (int i = 0; i < 16; i++)
		all.emplace_back([&, i] {
			mine.value = 1;
			std::lock_guard<std::mutex> guard(mutex);
			sum += i;
		});
	for (auto &thread : all)
		thread.join();
	printf("sum %ld, gone %d\n", sum, gone.load());
	return 0;
}

static int futures()
{
	std::vector<std::future<int>> all;
	std::promise<int> promise;
	int sum = 0, caught = 0;

	for (int i = 0; i < 12; i++)
		all.push_back(std::async(std::launch::async, [i] {
			if (i % 3 == 0)
				throw std::runtime_error(std::to_string(i));
			std::this_thread::sleep_for(std::chrono::milliseconds(1));
			return i;
		}));
	for (auto &future : all) {
		try {
			sum += future.get();
		} catch (const std::runtime_error &error) {
			caught += std::stoi(error.what());
		}
	}
	std::thread thread([&] { promise.set_value(100); });
	sum += promise.get_future().get();
	thread.join();
	printf("sum %d, caught %d\n", sum, caught);
	return 0;
}

static int waiting()
{
	std::atomic<int> turn{ 0 };
	std::vector<std::thread> all;

	for (int i = 0; i < 8; i++)
		all.emplace_back([&, i] {
			for (int now = turn; now != i; now = turn)
				turn.wait(now);
			turn++;
			turn.notify_all();
		});
	for (auto &thread : all)
		thread.join();
	printf("turn %d\n", turn.load());
	return 0;
}

static int uncaught()
{
	std::set_terminate([] {
		puts("terminated");
		fflush(stdout);
		abort();
	});
	std::thread([] { throw 1; }).join();
	return 0;
}

int main(int argc, char **argv)
{
	static const same_case cases[] = {
		{ "threads", threads }, { "futures", futures }, { "waiting", waiting }, { "uncaught", uncaught },
		{ nullptr, nullptr },
	};

	return same_main(argc, argv, cases);
}
