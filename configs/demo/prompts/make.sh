#!/bin/sh
# Makes the demonstration prompts again: espeak-ng speaks, sox brings it to 8 kHz A-law and plays the music.
# Needs: espeak-ng, sox. Run in any directory.
set -eu
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# say NAME TEXT: a male Mandarin voice, telephone band, 250 ms of silence at both ends.
say() {
    espeak-ng -v cmn-latn-pinyin -s 170 -p 45 -w "$work/$1.wav" "$2"
    sox -R "$work/$1.wav" -e a-law -b 8 "$1.zh-CN.wav" \
        silence 1 0.01 0.1% reverse silence 1 0.01 0.1% reverse \
        highpass 250 rate -v 8000 lowpass 3500 pad 0.25 0.25 gain -n -6 remix 1
}

say welcome '您好，欢迎致电雁门。'
say recorded-announcement '您好，为保证服务质量，您的通话将被录音。'
say please-wait '坐席正忙，请稍候。'
say no-agent '很抱歉，现在没有坐席可以接听，请稍后再拨。'
say goodbye '感谢您的来电，再见。'

# bar NUMBER NOTES…: three seconds of plucked strings, one after the other.
bar() {
    number=$1
    shift
    synth='' delay='' at=0
    for note in "$@"; do
        synth="$synth pluck $note"
        delay="$delay $at"
        at=$(echo "$at + 0.375" | bc)
    done
    # Notes are words of their own for sox.
    # shellcheck disable=SC2086
    sox -R -n -r 8000 -c 1 "$work/bar$number.wav" synth 3 $synth delay $delay remix - fade t 0 3 0.12
}

# Our own: pentatonic on C, so that it may begin again anywhere.
bar 1 C4 G4 A4 E5 D5 A4 G4 E4
bar 2 A3 E4 G4 C5 A4 G4 E4 D4
bar 3 F3 C4 A4 D5 C5 A4 G4 C4
bar 4 G3 D4 G4 A4 D5 C5 A4 G4
sox -R "$work"/bar[1-4].wav -e a-law -b 8 hold-music.wav lowpass 3000 gain -n -12

# The names by which the demonstration's settings know them.
ln -sf welcome.zh-CN.wav greeting.wav
ln -sf recorded-announcement.zh-CN.wav recorded.wav
ln -sf hold-music.wav waiting.wav
ln -sf goodbye.zh-CN.wav closing.wav
