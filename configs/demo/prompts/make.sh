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

# word NAME VOICE TEXT: one word or phrase of a row, cut close so that the row sounds as one sentence.
word() {
    espeak-ng -v "$2" -s 170 -p 45 -w "$work/$1.wav" "$3"
    sox -R "$work/$1.wav" -e a-law -b 8 "$1.wav" \
        silence 1 0.01 0.1% reverse silence 1 0.01 0.1% reverse \
        highpass 250 rate -v 8000 lowpass 3500 pad 0.02 0.06 gain -n -6 remix 1
}

say welcome '您好，欢迎致电雁门。'
say recorded-announcement '您好，为保证服务质量，您的通话将被录音。'
say please-wait '坐席正忙，请稍候。'
say no-agent '很抱歉，现在没有坐席可以接听，请稍后再拨。'
say goodbye '感谢您的来电，再见。'
say menu '业务咨询请按一，重听请按星号，人工服务请按零。'
say invalid '您的选择无效。'
say no-input '没有收到您的按键。'
say advice '业务咨询请访问我行网点，正在为您转接人工服务。'
say busy '坐席全忙，请稍后再拨。'
say night '现在是非工作时间，请在工作日九点至十八点来电。'
say holiday '今天是节假日，请在工作日来电。'

# Numbers, places and waits: see appliance/settings/src/speech.rs for the list that is checked.
zh=cmn-latn-pinyin
at=0
for spoken in 零 一 二 三 四 五 六 七 八 九 十; do
    word "number-$at.zh-CN" $zh "$spoken"
    at=$((at + 1))
done
word number-100.zh-CN $zh 百
word number-liang.zh-CN $zh 两
word queue-next.zh-CN $zh '您是下一位。'
word queue-ahead.zh-CN $zh '您前面还有'
word queue-persons.zh-CN $zh '位。'
word wait-about.zh-CN $zh '预计等待约'
word wait-over.zh-CN $zh '预计等待超过'
word wait-minutes.zh-CN $zh '分钟。'
word wait-soon.zh-CN $zh '预计等待不到一分钟。'
at=1
for spoken in one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen \
    seventeen eighteen nineteen twenty; do
    word "number-$at.en" en "$spoken"
    at=$((at + 1))
done
for spoken in thirty forty fifty sixty seventy eighty ninety; do
    at=$(case $spoken in thirty) echo 30 ;; forty) echo 40 ;; fifty) echo 50 ;; sixty) echo 60 ;; seventy) echo 70 ;; eighty) echo 80 ;; *) echo 90 ;; esac)
    word "number-$at.en" en "$spoken"
done
word number-100.en en hundred
word queue-next.en en 'You are next.'
word queue-ahead.en en 'You are number'
word queue-persons.en en 'in the queue.'
word wait-about.en en 'Your estimated wait is'
word wait-over.en en 'Your estimated wait is more than'
word wait-minutes.en en 'minutes.'
word wait-soon.en en 'Your estimated wait is less than one minute.'

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
for name in menu invalid no-input advice busy night holiday please-wait; do
    ln -sf "$name.zh-CN.wav" "$name.wav"
done
