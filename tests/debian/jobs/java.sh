java -Xmx64m -XX:+UseSerialGC Gc.java
java -Xmx96m -XX:+UseG1GC Gc.java
java -Xmx96m -XX:+UseParallelGC -XX:+AlwaysPreTouch Gc.java
java -Xmx32m -Xlog:gc:file=/tmp/gc.log Gc.java; grep -c Pause /tmp/gc.log | sed 's/^[1-9][0-9]*$/pauses/'
