// flux/cache/testing.hpp - what a test of one's own program takes from the library.
//
// Time to travel through, a store to compare with, faults on demand, calls written down, crowds of threads and
// processes. The suites for stores of one's own are in testing/store_contract.hpp and testing/repository_contract.hpp,
// which alone want GoogleTest.
#pragma once
#include <flux/cache/layers/chaos.hpp>
#include <flux/cache/testing/crowd.hpp>
#include <flux/cache/testing/fake.hpp>
#include <flux/cache/testing/fake_clock.hpp>
#include <flux/cache/testing/recorder.hpp>
#include <flux/cache/testing/reference_store.hpp>
